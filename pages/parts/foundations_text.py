"""All that Foundations says in words, in one place. At most 900 words; a test counts them."""

from __future__ import annotations

WHAT = """
A model is a program that was found in data instead of written by hand. So it depends on its data as much
as on its code, and it gets worse while nobody touches it: the world moves on, the data it learned from do
not.

**MLOps** (machine learning operations) is how a team builds, releases and watches models so that at any
time somebody can say what runs, where it came from, whether it still works, and how to go back. It is
less a tool than a habit of leaving traces. This is the trace of your own model:
"""

DEVOPS = """
**DevOps** is the habit that software teams have had for longer: small changes, tested by a machine,
released often, watched in production, and what is seen there decides the next change. It goes round in
one loop, because only code changes.

With a model, three things change: code, **data** and the **model** made of both. The loop keeps its
stages and gets new ones. Data are checked like code is tested. A model passes a **gate** (rules it must
meet before it may serve). Watching also means looking for **drift**: inputs, or what they mean, are no
longer as they were in training. And the way back to the start can be taken without a new line of code:
that is **retraining**.
"""

PAINS_INTRO = """
Teams that do without this meet the same four pains. In the mildest form Google describes it (maturity
level 0, a manual process), a model is handed over as a file, released a few times a year, and its answers
are not logged. Here is what your workspace holds against each.
"""

PAINS = (
    (
        "Lost params",
        "The best model cannot be made again: nobody wrote down with which settings it was trained.",
    ),
    (
        "The wrong data",
        "Two people train on “the latest data” and get two results; neither can say which rows they had.",
    ),
    (
        "Release by hand",
        "Somebody copies a file to a server on a Friday. On Monday nobody knows which runs, or since when.",
    ),
    (
        "Operations were not told",
        "The model goes wrong quietly. No answer is logged, no alarm rings, customers find out first.",
    ),
)

BENEFITS = """
What is gained: a result that can be repeated, a fault that is found in minutes, a bad release that is
taken back with one command, and a model that is kept good instead of being made anew each year. What it
costs: tools to run, rules to agree on, and time before the first model. For one analysis that is read
once, do without.
"""

WITH_INTRO = """
Below are six questions about your champion, the version that answers now. First they are put to the
model's file alone, as it lies on disk; then to what was recorded when it was made.
"""

MONEY = """
And in money: the same days of your world, with nobody deciding and with your model, at the prices of the
scenario.
"""

SIMULATED_INTRO = """
You learn real tools in a simulated world. Nothing here pretends to be the other:
"""

SIMULATED = (
    (
        "Payments: customers, terminals, amounts, frauds",
        "simulated",
        "after the generator of the Fraud Detection Handbook",
    ),
    (
        "Biopsies: the 30 measurements and the diagnosis",
        "real",
        "569 patients, Wisconsin; their dates are made up",
    ),
    (
        "Machines: temperatures, speed, torque, tools, failures",
        "simulated",
        "after the rules of the AI4I 2020 table",
    ),
    ("When a label becomes known", "simulated", "declared by the scenario: seven days for a payment"),
    ("Prices, drift and its cause, the passing of days", "simulated", "declared, repeatable by a seed"),
    ("Who changes, approves and reviews", "you alone", "no second person is played"),
    ("Notebooks, runs, params, metrics", "real", "executed by papermill, tracked by MLflow"),
    ("Versions of data", "real", "kept by DVC in a git repository"),
    ("Serving and its log", "real", "HTTP on this machine; each answer is written before it is given"),
    ("Seconds, memory, failures of processes", "real", "measured here, on your machine"),
)

SOURCES = """
Maturity level 0: Google Cloud, *MLOps: continuous delivery and automation pipelines in machine learning*.
What to test in a model's life: Breck and others, *The ML Test Score*, IEEE Big Data 2017.
Payments: Le Borgne and others, *Reproducible Machine Learning for Credit Card Fraud Detection*.
Machines: Matzka, *AI4I 2020 Predictive Maintenance Dataset*, UCI Machine Learning Repository.
"""

TEXTS = (WHAT, DEVOPS, PAINS_INTRO, BENEFITS, WITH_INTRO, MONEY, SIMULATED_INTRO, SOURCES)
