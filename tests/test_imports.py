"""The house: imports point downwards, importing is light and does nothing."""

from __future__ import annotations

import ast
import functools
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("repro", "mos_app", "analysis")


@functools.cache
def _modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _layers(package: str) -> tuple[str, ...]:
    """The folders of a package, lowest first, as the package itself states them."""
    found: tuple[str, ...] = importlib.import_module(package).LAYERS
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_has_its_place(package: str) -> None:
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert set(_layers(package)) == folders
    loose = {path.name for path in (ROOT / package).glob("*.py")} - {"__init__.py", "__main__.py", "cli.py"}
    assert loose == set(), f"modules of {package} that lie in no folder"


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_downwards(package: str) -> None:
    order = {folder: number for number, folder in enumerate(_layers(package))}

    def layer(module: str) -> int | None:
        parts = module.split(".")
        if parts[0] != package or len(parts) < 2:
            return None
        return order.get(parts[1], len(order))  # cli and __main__ lie above all folders

    wrong = []
    for module, path in _modules().items():
        here = layer(module)
        for name in _imports(path):
            target = layer(name)
            if here is not None and target is not None and target > here:
                wrong.append(f"{module} imports {name}")
    assert not wrong, "\n".join(sorted(wrong))


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_keep_to_themselves(package: str) -> None:
    strangers = {
        "repro": {"mos_app", "analysis", "streamlit", "sqlalchemy"},
        "mos_app": {"torch", "torchvision", "matplotlib"},
        "analysis": {"mos_app", "torch", "torchvision", "streamlit", "sqlalchemy"},
    }[package]
    for module, path in _modules().items():
        if module.split(".")[0] == package:
            met = {name.split(".")[0] for name in _imports(path)} & strangers
            assert not met, f"{module} imports {met}"


def test_the_app_takes_the_statistics_from_the_analysis_and_nothing_else() -> None:
    """There is one pilot, one plan, one rater quality: ``analysis.stats``, which itself needs no analysis."""
    for module, path in _modules().items():
        met = {name for name in _imports(path) if name.split(".")[0] == "analysis"}
        allowed = "analysis.stats" if module.split(".")[0] == "mos_app" else "analysis"
        if module.startswith("analysis.stats"):
            allowed = "analysis.stats"
        assert all(name.startswith(allowed) for name in met), f"{module} imports {met}"


HEAVY = ("torch", "torchvision", "numba", "matplotlib", "streamlit", "sqlalchemy", "pandas", "scipy")


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_imports_nothing_heavy(package: str) -> None:
    code = f"import sys, {package}; print([m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "[]"


def test_the_training_half_needs_neither_sql_nor_streamlit_nor_numba() -> None:
    """The accelerator machines have torch, numpy and little else."""
    missing = (
        "streamlit",
        "sqlalchemy",
        "numba",
        "alembic",
        "sureal",
        "pingouin",
        "pooch",
    )
    code = (
        f"import sys\nfor name in {missing!r}: sys.modules[name] = None\n"
        "import repro.cli.train, repro.cli.bench, repro.experiments.bench.train\n"
        "import repro.train.run, repro.data.prepare\n"
        "import repro.inference.store, repro.evaluation.evaluate, repro.cli.reproduce, repro.cli.main\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr[-2000:]


def test_importing_does_nothing(tmp_path: Path) -> None:
    """No file appears, no argument is read, no random state moves."""
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "sys.argv = ['x', '--nonsense']\n"
        "import numpy; numpy.random.seed(0)\n"
        "before = numpy.random.get_state()[1].tobytes()\n"
        "import repro.cli.main, repro.train.run, analysis.cli, mos_app.cli.main\n"
        "assert before == numpy.random.get_state()[1].tobytes()\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert not list(tmp_path.iterdir())


def test_there_is_no_utils_module() -> None:
    assert not [
        m for m in _modules() if m.rsplit(".", 1)[-1] in {"utils", "util", "helpers", "misc", "common_utils"}
    ]
