"""The bridge to PyTorch: gradients against differences and against the core, precision, memory, training."""

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError

torch = pytest.importorskip("torch", reason="PyTorch is not installed: the extra torch")
bridge = pytest.importorskip("dynet.implicit.torch")


def tensors(n=4, m=3, batch=5, seed=0, dtype=torch.float64):
    net = dn.ImplicitNetwork.random(m, n, 2, gamma=0.7, seed=seed)
    U = np.random.default_rng(seed).normal(size=(batch, m))
    return net, [torch.tensor(np.array(v), dtype=dtype, requires_grad=True) for v in (U, net.A, net.B, net.b)]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gradients_of_the_fixed_point_pass_gradcheck(activation):
    _, given = tensors()
    assert torch.autograd.gradcheck(lambda *v: bridge.fixed_point(*v, activation=activation, tol=1e-13), given)


def test_gradients_of_the_module_pass_gradcheck_through_the_parametrisation():
    module = bridge.ImplicitLayer(3, 4, 2, seed=1, tol=1e-13, dtype=torch.float64)
    U = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    names = [name for name, _ in module.named_parameters()]
    values = [value.detach().clone().requires_grad_() for value in module.parameters()]

    def output(*values):
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (U,))

    assert torch.autograd.gradcheck(output, values)
    assert {"raw.T", "raw.s", "raw.w", "B", "C", "b", "d"} == set(names)


@pytest.mark.parametrize("family", ["One", "Two", "Projection"])
def test_every_family_has_exact_gradients(family):
    module = bridge.ImplicitLayer(2, 3, 1, getattr(dn.implicit, family)(0.6), seed=3, tol=1e-12, dtype=torch.float64)
    U = torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    names = [name for name, _ in module.named_parameters()]
    values = [value.detach().clone().requires_grad_() for value in module.parameters()]
    if family == "Projection":
        values[names.index("raw.A")].data *= 3.0  # rows that the projection moves

    def output(*values):
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (U,))

    assert torch.autograd.gradcheck(output, values)
    assert module.network().well_posed


def test_states_and_gradients_are_those_of_the_core():
    net, (U, A, B, b) = tensors(n=7)
    x = bridge.fixed_point(U, A, B, b, weights=net.weights)
    assert np.allclose(x.detach().numpy(), net.solve(U.detach().numpy()).x, atol=1e-9)
    dY = np.random.default_rng(1).normal(size=(5, 2))
    (x @ torch.tensor(np.array(net.C)).T).backward(torch.tensor(dY))
    core = dn.implicit.gradients(net, U.detach().numpy(), net.solve(U.detach().numpy()).x, dY)
    for tensor, name in ((U, "U"), (A, "A"), (B, "B"), (b, "b")):
        assert np.allclose(tensor.grad.numpy(), getattr(core, name), atol=1e-8), name


def test_single_precision_stays_single_and_is_close():
    _, double = tensors(n=6)
    _, single = tensors(n=6, dtype=torch.float32)
    results = []
    for given in (double, single):
        x = bridge.fixed_point(*given)
        x.square().sum().backward()
        results.append([x.detach(), *(v.grad for v in given)])
    for exact, rounded in zip(*results, strict=True):
        assert rounded.dtype == torch.float32 and torch.allclose(rounded.double(), exact, rtol=1e-3, atol=1e-3)
    module = bridge.ImplicitLayer(3, 4, 2)
    assert module(torch.ones(2, 3)).dtype == torch.float32 and module.network().mu <= 0.95


def test_only_what_is_asked_for_gets_a_gradient_and_inputs_are_not_copied():
    _, (U, A, B, b) = tensors()
    fixed = [v.detach() for v in (U, A, B)]
    bridge.fixed_point(*fixed, b).sum().backward()
    assert b.grad is not None and all(v.grad is None for v in fixed)
    assert np.shares_memory(bridge._array(U), U.detach().numpy())
    assert torch.equal(bridge.fixed_point(*fixed), bridge.fixed_point(*fixed, torch.zeros(4, dtype=torch.float64)))


def test_what_is_changed_before_the_backward_pass_is_noticed():
    _, (U, A, B, b) = tensors()
    x = bridge.fixed_point(U, A, B, b)
    with torch.no_grad():
        A += 1.0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        x.sum().backward()


def test_training_lowers_the_loss_and_can_not_leave_the_well_posed_networks():
    generator = torch.Generator().manual_seed(0)
    U = torch.rand(200, 2, generator=generator) * 2 - 1
    labels = (U[:, 0] * U[:, 1] > 0).long()
    module = bridge.ImplicitLayer(2, 12, 2, family=dn.implicit.WeightedInf(0.9), seed=0)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.03)
    losses = []
    for _ in range(150):
        loss = torch.nn.functional.cross_entropy(module(U), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert float((module(U).argmax(dim=1) == labels).float().mean()) > 0.9
    net = module.network()
    assert net.mu <= 0.9 and np.allclose(net(U.numpy()), module(U).detach().numpy(), atol=1e-3)
    with torch.no_grad():
        for value in module.parameters():
            value += 100 * torch.rand(value.shape, generator=generator) * (value.ndim == 2)
    assert module.network().well_posed
    twin = bridge.ImplicitLayer(2, 12, 2, family=dn.implicit.WeightedInf(0.9), seed=1)
    twin.load_state_dict(module.state_dict())
    assert torch.equal(twin(U), module(U))


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda U, A, B, b: bridge.fixed_point(U, A + 5 * torch.eye(4), B, b), "well-posed"),
        (lambda U, A, B, b: bridge.fixed_point(U[:, :2], A, B, b), "U="),
        (lambda U, A, B, b: bridge.fixed_point(U.float(), A, B, b), "U="),
        (lambda U, A, B, b: bridge.fixed_point(U, A, B.float(), b), "float32"),
        (lambda U, A, B, b: bridge.fixed_point(U, A[:3], B, b), "A="),
        (lambda U, A, B, b: bridge.fixed_point(U, A, B, b[:3]), "b="),
        (lambda U, A, B, b: bridge.fixed_point(U, A, B, [0.0]), "tensor"),
        (lambda U, A, B, b: bridge.fixed_point(U, A, B, b, activation="relo"), "relu"),
        (lambda U, A, B, b: bridge.fixed_point(U, A, B, b, tol=-1.0), "tol"),
        (lambda U, A, B, b: bridge.fixed_point(U, A, B, b, weights=np.zeros(4)), "weights"),
        (lambda U, A, B, b: bridge.ImplicitLayer(2, 3, 1, dtype=torch.float16), "dtype"),
    ],
)
def test_what_does_not_fit_is_named(call, word):
    with pytest.raises(ArgumentError, match=word):
        call(*tensors()[1])
