"""Changes: the incidents in which nothing is broken, and the world is another one."""

from __future__ import annotations

from pipelines.production.incidents.definition import Definition

CHANGES: tuple[Definition, ...] = (
    Definition(
        "inflation",
        "Prices have changed",
        "world",
        "All amounts have doubled since that day. Who is a thief has not changed; what is usual has.",
        "The amount drifts, and with it what is made of it; alerts multiply, and once labels come, "
        "few are right.",
        ("input_drift", "score_drift"),
        7,
        ("retrain",),
        (
            "Retrain once enough labelled days of the new world are there.",
            "Prefer features that compare with the customer's own past to absolute amounts.",
        ),
        episode=True,
    ),
    Definition(
        "attack_wave",
        "There is more fraud than before",
        "world",
        "A wave of attacks began on that day: three times as many terminals and cards are taken over. "
        "How fraud is done has not changed.",
        "Features of known fraud and the scores drift upwards over weeks; the model is as right as "
        "it was, "
        "or more, and alerts multiply because there is more to find.",
        ("input_drift", "score_drift"),
        28,
        ("retrain",),
        (
            "Give the people who look into alerts more time while it lasts.",
            "Set the threshold for the new share of fraud when the model is trained anew.",
        ),
        episode=True,
    ),
    Definition(
        "stealth_fraud",
        "Fraud hides among honest events",
        "world",
        "Since that day thieves pay what the owner would, and leave a part of a terminal's payments "
        "alone. "
        "What comes in looks as it did.",
        "No input drifts, and no score. Only labels show it, a week later: the model finds less.",
        ("performance",),
        35,
        ("retrain",),
        (
            "Watch performance by labels: no input would have shown this.",
            "Have a random sample looked into, to learn of fraud that no model flags.",
        ),
        episode=True,
    ),
    Definition(
        "changed_pattern",
        "A new kind of fraud",
        "world",
        "Thieves have given up what the model knows and use copied cards one after another at the same "
        "terminal. No feature tells how long ago a terminal was last used.",
        "The model is hardly ever right any more, and a retrained one is no better: what it would "
        "need to "
        "see is not among its features.",
        ("performance", "score_drift", "input_drift"),
        21,
        ("stop_by_rule",),
        (
            "Build the feature that is missing: seconds since the terminal's last payment.",
            "Keep a way to stop by rule what no model finds yet.",
        ),
        episode=True,
    ),
    Definition(
        "microscope",
        "What measures was exchanged",
        "world",
        "A new microscope measures lengths larger than the old one did. The tissue is the same.",
        "Lengths and areas drift together, in proportion; smoothness and other ratios do not.",
        ("input_drift", "score_drift", "quality"),
        25,
        ("retrain",),
        (
            "Measure the same samples with both before one is exchanged for the other.",
            "Record with each event what it was measured with.",
        ),
        episode=True,
    ),
    Definition(
        "torque_sensor",
        "A sensor reads too much",
        "world",
        "Sensors of another make were fitted, and read 4 Nm too much. The machines are the same: the speed "
        "that goes with a torque is not what it was.",
        "One measured column moves at once, by the same amount everywhere; the others stay as they were. "
        "Alerts multiply, and fewer of them are right.",
        ("input_drift", "score_drift", "performance"),
        7,
        ("retrain",),
        (
            "Calibrate sensors against each other before they are exchanged.",
            "Record with each piece which sensor measured it.",
        ),
        episode=True,
    ),
    Definition(
        "cheap_tools",
        "Tools of another make wear out sooner",
        "world",
        "Worn tools have been replaced by cheaper ones since that day. They end sooner and bear less "
        "strain, and nothing that is measured says which make a tool is of.",
        "What comes in hardly changes. Labels show it: of the pieces that are spoilt the model "
        "finds a smaller part, and what was harmless at this wear and torque no longer is.",
        ("performance", "input_drift"),
        21,
        ("retrain",),
        (
            "Have purchasing tell of a new make before it is used.",
            "Record with each piece which make its tool is of, as a feature.",
        ),
        episode=True,
    ),
    Definition(
        "hot_spell",
        "It has become hot",
        "world",
        "The air in the hall has been 5 K warmer since that day, and carries less heat away: twice as many "
        "pieces are spoilt. Why machines fail has not changed.",
        "Temperatures drift, nothing else that is measured does. The model has hardly seen such days: "
        "it finds a smaller part of what heat spoils.",
        ("input_drift", "performance"),
        7,
        ("retrain",),
        (
            "Train on days of all seasons, or try the model on the hottest day there was.",
            "Give the model the difference of both temperatures: heat fails by that, in any weather.",
        ),
        episode=True,
    ),
)
