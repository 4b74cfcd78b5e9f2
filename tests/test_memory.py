"""Memory kept between updates: asked for where the C library knows how, harmless elsewhere."""

import subprocess
import sys

import pytest

from repro.train import memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's settings")
def test_pages_are_not_faulted_in_again() -> None:
    code = (
        "import resource, sys, torch\n"
        "from repro.train.memory import keep_freed_memory\n"
        "if sys.argv[1] == 'keep' and not keep_freed_memory(): sys.exit(77)\n"
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(12): torch.ones(16 * 2**20)\n"
        "before = faults()\n"
        "for _ in range(10): torch.ones(16 * 2**20)\n"
        "print(faults() - before)\n"
    )

    def run(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", code, how], capture_output=True, text=True, check=False)
        if done.returncode == 77:
            pytest.skip("this C library has no mallopt")
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    assert run("keep") < run("default") / 10


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.keep_freed_memory() is False
