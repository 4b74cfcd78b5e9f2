"""The house: imports point downwards, importing is light and does nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("repro", "mos_app", "analysis")

# lowest first; a module may import from its own layer and from those below it
LAYERS: tuple[tuple[str, ...], ...] = (
    ("repro.errors", "repro.paper", "repro.atomic", "repro.streams", "repro.ranges", "repro.ycbcr"),
    (
        "repro.imagefile",
        "repro.manifest",
        "repro.paths",
        "repro.imresize",
        "repro.imresize_torch",
        "repro.progress",
        "repro.tiling",
    ),
    ("repro.config",),
    ("repro.variants", "repro.references", "repro.device", "repro.checkpoint"),
    (
        "repro.data.sample",
        "repro.data.registry",
        "repro.datasets",
        "repro.metrics",
        "repro.models",
        "repro.losses",
    ),
    ("repro.data", "repro.runs", "repro.score", "repro.enlarge", "repro.enlarge_luma", "repro.perceptual"),
    ("repro.train",),
    ("repro.half",),
    ("repro.methods", "repro.weights", "repro.export"),
    ("repro.upscale", "repro.photos"),
    ("repro.importing",),
    ("repro.ablation", "repro.trials", "repro.evaluate"),
    ("repro.bench",),
    ("repro.cli", "repro.__main__"),
)


def _modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _layer(module: str) -> int | None:
    """The layer of a module by its longest listed prefix; None for modules that are not listed."""
    best, where = -1, None
    for number, prefixes in enumerate(LAYERS):
        for prefix in prefixes:
            if (module == prefix or module.startswith(f"{prefix}.")) and len(prefix) > best:
                best, where = len(prefix), number
    return where


def test_every_module_has_its_layer() -> None:
    assert [m for m in _modules() if m.startswith("repro.") and _layer(m) is None] == []


def test_imports_point_downwards() -> None:
    wrong = []
    for module, path in _modules().items():
        layer = _layer(module)
        for name in _imports(path):
            target = _layer(name)
            if layer is not None and target is not None and target > layer:
                wrong.append(f"{module} (layer {layer}) imports {name} (layer {target})")
    assert not wrong, "\n".join(sorted(wrong))


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_keep_to_themselves(package: str) -> None:
    strangers = {
        "repro": {"mos_app", "analysis", "streamlit", "sqlalchemy"},
        "mos_app": {"analysis", "torch", "torchvision"},
        "analysis": {"mos_app", "torch", "torchvision", "streamlit", "sqlalchemy"},
    }[package]
    for module, path in _modules().items():
        if module.split(".")[0] == package:
            met = {name.split(".")[0] for name in _imports(path)} & strangers
            assert not met, f"{module} imports {met}"


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
        "httpx",
        "tenacity",
        "filelock",
    )
    code = (
        f"import sys\nfor name in {missing!r}: sys.modules[name] = None\n"
        "import repro.cli.train, repro.cli.bench, repro.bench.train, repro.train.run, repro.data.prepare\n"
        "import repro.upscale, repro.evaluate, repro.cli.reproduce, repro.cli.main\n"
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
        "import repro.cli.main, repro.train.run, analysis.cli, mos_app.cli\n"
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
