"""Networks on disk: what is read is what was written, and a broken file is refused."""

import numpy as np
import pytest
from scipy.sparse import csr_array

import dynet as dn
from dynet.errors import ArgumentError
from dynet.implicit import files


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_network_comes_back(tmp_path, dtype, sparse):
    net = dn.ImplicitNetwork.random(3, 5, 2, activation="leaky_relu(0.2)")
    A = csr_array(net.A.astype(dtype)) if sparse else net.A.astype(dtype)
    net = dn.ImplicitNetwork(
        A, net.B.astype(dtype), net.C.astype(dtype), activation=net.activation, weights=net.weights
    )
    net.save(tmp_path / "net.npz")
    back = dn.ImplicitNetwork.load(tmp_path / "net.npz")
    U = np.ones((2, 3))
    assert back.dtype == dtype and np.array_equal(back(U), net(U)) and back.activation == net.activation
    assert np.array_equal(back.weights, net.weights) and (type(back.A) is type(net.A))


def test_broken_files_are_refused(tmp_path):
    net = dn.ImplicitNetwork.random(3, 5, 2)
    path = tmp_path / "net.npz"
    net.save(path)
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"something else", whole[:500] + b"\0" * 40 + whole[540:]):
        path.write_bytes(broken)
        with pytest.raises(ArgumentError, match="path"):
            dn.ImplicitNetwork.load(path)
    files.write_arrays(path, {"format": "something"}, {"a": np.ones(2)})
    with pytest.raises(ArgumentError, match="something"):
        dn.ImplicitNetwork.load(path)
    np.savez(path, a=np.ones(2))
    with pytest.raises(ArgumentError, match="header"):
        dn.ImplicitNetwork.load(path)
    with pytest.raises(ArgumentError, match="a file"):
        dn.ImplicitNetwork.load(tmp_path / "missing.npz")
    with pytest.raises(ArgumentError, match="a file in a folder that exists"):
        dn.ImplicitNetwork.random(2, 3, 1).save(tmp_path / "no" / "net.npz")


@pytest.mark.parametrize(
    ("name", "value"), [("A.indices", [5, 0]), ("A.indices", [-1, 0]), ("A.indptr", [0, 5, 2]), ("Z", [1, 2])]
)
def test_sparse_parts_that_lead_out_of_the_matrix_are_refused(tmp_path, name, value):
    net = dn.ImplicitNetwork(csr_array([[0.0, 0.5], [0.2, 0.0]]), [[1.0], [1.0]], [[1.0, 1.0]])
    net.save(tmp_path / "net.npz")
    header, arrays = files.read_arrays(tmp_path / "net.npz", files.FORMAT)
    arrays[name] = np.array(value, np.int32)
    files.write_arrays(tmp_path / "net.npz", header, arrays)
    with pytest.raises(ArgumentError, match="path"):
        dn.ImplicitNetwork.load(tmp_path / "net.npz")
