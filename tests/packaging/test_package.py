"""Packages: what is in them, that two of the same model are the same, and that others' tools take them."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from lint import hadolint
from packages import fitted, open_package, pack

from pipelines.errors import BadInput, Refused
from pipelines.lifecycle import LIFECYCLE, Package
from pipelines.packaging import image, requirements
from pipelines.run import write_json
from pipelines.training import FittedModel


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_dockerfile_is_clean_pinned_and_names_the_port(workspace, python):
    context = pack(open_package(workspace, fitted()), Package(python=python, port=9123)) / "image"

    done = hadolint(context / "Dockerfile")

    text = (context / "Dockerfile").read_text()
    assert done.returncode == 0, done.stdout
    assert text.count(f"FROM python:{python}.") == 2
    assert text.count("9123") == 5
    assert "HEALTHCHECK" in text
    assert "USER 10001:10001" in text


def test_the_linter_would_find_a_fault(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /tmp\n")
    assert hadolint(tmp_path / "Dockerfile").returncode == 1


def test_the_package_stands_alone_and_tells_nobodys_words(workspace):
    folder = pack(open_package(workspace, fitted()))

    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "MANIFEST.json",
        *(
            f"image/{name}"
            for name in ("Dockerfile", "README.md", "requirements.txt", "request.json", "serve.py")
        ),
        *(
            f"image/model/{name}"
            for name in ("golden.parquet", "model.json", "model.skops", "registration.json")
        ),
        *(f"v2/{name}" for name in ("README.md", "model-settings.json", "requirements.txt", "settings.json")),
        *(f"v2/model/{name}" for name in ("MLmodel", "golden.parquet", "model.skops")),
        *(f"v2/model/{name}" for name in ("python_env.yaml", "requirements.txt")),
    }
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    registration = json.loads((folder / "image/model/registration.json").read_text())
    assert set(registration) == {"model", "version", "model_digest", "gate"}
    assert set(json.loads((folder / "MANIFEST.json").read_text())) == files - {"MANIFEST.json"}


def test_the_same_model_packaged_twice_is_the_same_package(workspace):
    # given two runs that made the same model, registered as versions 1 and 2
    first, second = (open_package(workspace, fitted(), number) for number in (1, 2))

    # when
    pack(first)
    pack(second)

    # then the packages are equal, though the models' bytes and the numbers differ
    assert first.digest("package") == second.digest("package")
    settings = json.loads((second.path("package") / "v2" / "model-settings.json").read_text())
    assert settings["parameters"]["version"] == "2"


@pytest.mark.parametrize("params", [Package(port=9000), Package(python="3.13")])
def test_another_package_has_another_digest(workspace, params):
    first, second = open_package(workspace, fitted()), open_package(workspace, fitted())
    pack(first)
    pack(second, params)
    assert first.digest("package") != second.digest("package")


def test_packaging_again_leaves_nothing_of_before(workspace):
    step = open_package(workspace, fitted())
    folder = pack(step)
    (folder / "image" / "left-over").write_text("x")
    before = step.digest("package")
    pack(step)
    assert step.digest("package") == before
    assert not (folder / "image" / "left-over").exists()


def test_a_registration_of_another_model_is_refused(workspace):
    step = open_package(workspace, fitted())
    path = step.path("registration")
    write_json(path, json.loads(path.read_text()) | {"model_digest": "f00d" * 4})
    with pytest.raises(Refused, match="was registered with the model f00d"):
        pack(step)


@pytest.mark.parametrize("values", [{"python": "3.10"}, {"python": "../x"}, {"port": 80}, {"port": 70_000}])
def test_other_params_are_refused(values):
    with pytest.raises(BadInput):
        LIFECYCLE.step("package").check(values)


def test_pins_are_exact_complete_and_few():
    # given the pins for two Pythons, between which Flightdeck's own differ
    old, new = (requirements.pins(python, {"scikit-learn": "1.9.1"}) for python in ("3.11", "3.13"))

    for lines in (old, new):
        names = [line.partition("==")[0] for line in lines]
        assert all(line.count("==") == 1 for line in lines)
        assert names == sorted(names)
        assert {"numpy", "scipy", "joblib", "threadpoolctl", "scikit-learn", "skops", "pyarrow"} <= set(names)
        assert not {"mlflow", "streamlit", "pandas"} & set(names)
        assert len(names) < 20
    assert {line for line in old if "numpy" in line} != {line for line in new if "numpy" in line}


def test_a_model_keeps_the_scikit_learn_it_was_trained_with():
    assert "scikit-learn==1.8.0" in requirements.pins("3.11", {"scikit-learn": "1.8.0", "numpy": "1.0"})


def test_the_packaged_server_agrees_in_this_process(workspace):
    step = open_package(workspace, fitted("boosting"))
    pack(step)
    assert image.furthest_score(step) <= 1e-9


@pytest.mark.parametrize("kind", ["logistic", "forest", "boosting"])
def test_mlflow_itself_loads_the_folder_for_mlserver(workspace, kind):
    model: FittedModel = fitted(kind)
    folder = pack(open_package(workspace, model)) / "v2" / "model"
    code = (
        "import sys, warnings; warnings.simplefilter('ignore'); import mlflow.pyfunc, pandas as pd;"
        "model = mlflow.pyfunc.load_model(sys.argv[1]);"
        "rows = pd.read_parquet(sys.argv[1] + '/golden.parquet');"
        "rows = rows[model.metadata.signature.inputs.input_names()].astype(float);"
        "print(model.predict(rows)[:, 1].tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert np.allclose(json.loads(done.stdout), model.card["golden_scores"], rtol=0, atol=1e-9)


def test_the_model_is_described_without_times_and_ids(workspace):
    folder = pack(open_package(workspace, fitted())) / "v2"
    described = (folder / "model" / "MLmodel").read_text()
    assert not {"time", "uuid", "run_id"} & {
        line.partition(":")[0].strip() for line in described.splitlines()
    }
