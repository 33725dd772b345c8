"""Breakdowns: the incidents in which something of ours, or of whoever sends and labels, goes wrong."""

from __future__ import annotations

from pipelines.production.incidents.definition import Definition

BREAKDOWNS: tuple[Definition, ...] = (
    Definition(
        "unit_change",
        "The source sends another unit",
        "source",
        "A new release of the source sends in hundredths what used to come in whole units. Small values "
        "pass as large ones; large values are beyond what the gateway takes, and are refused.",
        "Some requests are refused, and the message names the value and its bounds. What is let through "
        "is a hundred times too large: one column drifts, and alerts multiply on the same day.",
        ("errors", "quality", "input_drift"),
        2,
        ("source_back",),
        (
            "Agree on a data contract with the source: name, unit and bounds of every column.",
            "Refuse a batch whose median has moved by a factor of ten.",
        ),
        source="unit",
    ),
    Definition(
        "renamed_column",
        "The source has renamed a column",
        "source",
        "A new release of the source sends a column under another name. The gateway does not know "
        "it, and "
        "misses the old one: it refuses every request.",
        "Everything is refused from one day to the next. The message names a column that nobody knows.",
        ("errors",),
        1,
        ("source_back",),
        (
            "Let the source test its releases against the gateway's metadata.",
            "Agree on how a column is renamed: both names for a while.",
        ),
        source="renamed",
    ),
    Definition(
        "null_flood",
        "A column comes empty",
        "source",
        "A sensor, or the service that reads it, gives no value for half of the events. The gateway "
        "does not guess: it refuses them.",
        "Half of the requests are refused. The message says which column has no value.",
        ("errors",),
        1,
        ("source_back",),
        (
            "Watch the share of empty values at the source, where it can be mended.",
            "Decide beforehand what is done without that value, and train a model for it.",
        ),
        source="nulls",
    ),
    Definition(
        "duplicates",
        "Events are sent several times",
        "source",
        "The source does not see that its events were taken, and sends each of them again under a "
        "new id. "
        "Everything that is counted is counted three times.",
        "Three times the usual number a day, without one complaint. What is counted of one "
        "customer or machine drifts; single values do not.",
        ("quality", "input_drift"),
        1,
        ("source_back",),
        (
            "Let the source keep an event's id when it sends it again; the gateway then answers as before.",
            "Alarm when the number a day leaves its usual range.",
        ),
        source="twice",
    ),
    Definition(
        "late_file",
        "The file of labels is late",
        "labels",
        "The job that delivers outcomes has failed since that day, and nobody was told. The model "
        "goes on, "
        "and nobody sees whether it is right.",
        "No label comes in any more. Requests, scores and alerts are as they were.",
        ("labels",),
        4,
        ("labels_again",),
        (
            "Let the job that delivers labels report when it has not run.",
            "Show the age of the newest label beside every figure of performance.",
        ),
        labels="late",
    ),
    Definition(
        "label_flip",
        "Labels are wrong",
        "labels",
        "Four of five positive cases are booked under the wrong code since that day, and arrive as negative.",
        "The model seems to be less right, all of a sudden, on events of before that day too. What comes "
        "in, the scores and the number of alerts are as they were, and so is the estimate that "
        "needs no label.",
        ("performance",),
        12,
        ("labels_checked",),
        (
            "Have a sample of labels decided twice, by two people, every week.",
            "Leave the wrongly labelled days out of training.",
        ),
        labels="flipped",
        many=True,
    ),
    Definition(
        "feedback_loop",
        "The model's own alerts get no label",
        "labels",
        "Whatever is alerted is stopped, and since that day nobody looks any more whether the alert was "
        "right. The model learns only from what it let pass: it would unlearn what it finds.",
        "Labels stop coming for alerts, and for nothing else.",
        ("labels",),
        6,
        ("alerts_labelled",),
        (
            "Let a small share of alerts through, chosen by chance, and label them.",
            "Watch the share of alerts that have a label.",
        ),
        labels="blocked",
    ),
    Definition(
        "skew",
        "Features are computed otherwise than in training",
        "features",
        "A release of the feature code computes means of earlier events as zero. The training code was "
        "not changed: the same event has other features here and there.",
        "Means drift at once and completely, but what comes in has not changed: the raw column is as it was.",
        ("input_drift",),
        4,
        ("features_back",),
        (
            "Compute features for training and for serving by the same code.",
            "Compare both on yesterday's events each morning.",
        ),
        route="means_empty",
    ),
    Definition(
        "vanished_feature",
        "A feature the model leans on is gone",
        "features",
        "Confirmed outcomes may no longer be read by the feature store since that day. Features that "
        "count them are zero, and the model leans on them.",
        "All features made of labels drop to zero at once, while labels themselves arrive as before.",
        ("input_drift",),
        4,
        ("feed_back",),
        (
            "List for each feature who owns its source, and what becomes of the model without it.",
            "Try each model without its strongest feature before it is released.",
        ),
        route="labels_unseen",
    ),
    Definition(
        "bad_canary",
        "A bad version was released as a canary",
        "release",
        "A colleague has rebuilt the champion's package and released it as a canary to a part of the "
        "traffic. The new package takes the threshold for a percentage: it alerts almost everything.",
        "Alerts multiply on a part of the events alone: those whose route is the canary.",
        ("canary",),
        2,
        ("end_canary",),
        (
            "Compare a new package with the old one on golden rows before it answers anybody.",
            "Let a canary end by itself when its alerts are out of all proportion.",
        ),
        route="percent",
        canary=True,
        many=True,
    ),
    Definition(
        "slow_model",
        "The route has become slow",
        "platform",
        "The machine that serves shares its processor with another job since that day. Every answer "
        "takes seconds.",
        "All answers are right, and late: the 95th percentile of the wait leaves its limit.",
        ("latency",),
        1,
        ("move_route",),
        (
            "Reserve processor time for what answers customers.",
            "State how long an answer may take, and alarm on it.",
        ),
        route="slow",
    ),
    Definition(
        "traffic_spike",
        "Far more is sent than usual",
        "platform",
        "A campaign brings four times as many events. In the busy hours the route's queue is full, "
        "and what comes then is refused.",
        "Four times the usual number, of many customers; by day requests are refused, at night all are "
        "answered. The message speaks of a full queue.",
        ("errors", "quality"),
        1,
        ("scale_out",),
        (
            "Have marketing announce its campaigns.",
            "Let the number of workers follow the load.",
        ),
        source="spike",
        route="overload",
        lasts_days=14,
    ),
    Definition(
        "gateway_crash",
        "The process that serves has died",
        "platform",
        "The process behind the route needed more memory than it may have, was ended by the system, and "
        "nothing starts it again.",
        "Everything is refused from one moment to the next; the message speaks of memory and a signal.",
        ("errors",),
        1,
        ("restart",),
        (
            "Let a supervisor start what has died again.",
            "Limit the memory of a request, not only that of the process.",
        ),
        route="down",
    ),
    Definition(
        "expired_artifact",
        "The model's file was deleted",
        "platform",
        "The store of artifacts deletes what is older than its retention. It deleted the file of the "
        "version that serves, and the nightly restart could not load it.",
        "Everything is refused; the message names the version and its file. Another version would load.",
        ("errors",),
        1,
        ("restore_artifact", "rollback", "retrain"),
        (
            "Exempt from retention what the promotion ledger names.",
            "Try to load the champion from the store every day.",
        ),
        route="artifact",
    ),
)
