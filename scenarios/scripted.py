"""A scenario in Python: how much coupling does a firing-rate network bear before its certificate is lost?

Run it with: python scenarios/scripted.py
"""

import networkx as nx

import dynet as dn

scenario = dn.Scenario(
    title="Scripted: a small world of rates",
    graph=nx.watts_strogatz_graph(60, 6, 0.1, seed=1),
    model={"kind": "firing_rate", "weight": 0.12, "activation": "tanh"},
    simulate={"t": 10.0, "batch": 16, "rtol": 1e-8},
    certify={"kind": "strong"},
    figure=[{"kind": "decay"}],
    expect={"rate": {"value": 0.268583, "rtol": 1e-5}, "failed": 0},
)

for weight in (0.04, 0.08, 0.16):
    numbers = scenario.replace("model.weight", weight).replace("expect", None).run(out=None).numbers
    print(f"weight {weight:.2f}   certified rate {numbers['rate']:8.5f}   fitted {numbers['fitted_rate']:8.5f}")

print(scenario.run(out="runs", check=True))
