"""Simulation, export, import, backup, planning and the pilot: the study's data in and out."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sqlite3
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mos_helpers.studies import make_study, practised, small_toml

from analysis.stats.defaults import Spread
from analysis.stats.rater_models import ROUNDING, p910
from analysis.stats.rater_quality import longest_run
from mos_app.db.engine import sqlite_url
from mos_app.db.raters import Registry
from mos_app.db.tables import read_answers, read_stimuli
from mos_app.db.votes import VoteService
from mos_app.files.archive import (
    FORMAT,
    RATINGS_COLUMNS,
    export_files,
    export_study,
    zip_bytes,
)
from mos_app.files.backup import back_up, restore
from mos_app.files.csvtables import csv_bytes, records_of
from mos_app.files.importing import import_study, read_export
from mos_app.files.simulate import (
    SimulationParameters,
    expected_score,
    fill_study,
    latent_for,
    make_synthetic_study,
    paper_means,
)
from mos_app.files.workspace import Workspace, init_study, open_workspace
from mos_app.study.display import Ballot, DisplayRecord
from mos_app.study.parts import PilotPart
from mos_app.study.pilot import pilot_report
from mos_app.study.plan import resolutions
from mos_app.study.quality import rater_quality
from mos_app.study.results import MOS_COLUMNS, live_mos, opinion_scores
from mos_app.study.studyfile import parse_study, read_template
from mos_app.web.overview import Overviews
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.imaging.io import write_png
from repro.papers.srgan import RATINGS_TOTAL

pytestmark = pytest.mark.xdist_group("mos_archive")  # its fixtures are made once


def synthetic(folder: Path, template: str = "paper", **parameters: float) -> Workspace:
    config, toml = read_template(template)
    make_synthetic_study(Results(folder), config, toml, name=f"{template}-synthetic")
    workspace = open_workspace(Results(folder), f"{template}-synthetic")
    fill_study(workspace, config.raters, SimulationParameters(**parameters), seed=0)  # type: ignore[arg-type]
    return workspace


@pytest.fixture(autouse=True, scope="module")
def one_commit() -> Iterator[None]:
    """A manifest tells the commit: here it must not change between two exports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("repro.core.manifest.git_state", lambda: {"commit": "0" * 40, "dirty": False})
        yield


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Path]:
    folder = tmp_path_factory.mktemp("simulated")
    workspace = synthetic(folder)
    return workspace, export_study(workspace)


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """26 raters' pilot; the last two are careless."""
    workspace = synthetic(tmp_path_factory.mktemp("pilot"), "pilot", careless=2)
    yield workspace
    workspace.close()


def real_study(folder: Path, toml: str = "") -> tuple[Results, Workspace, str]:
    """A study with one rater half way, an undo, a conflict, an exclusion and an unmeasured vote."""
    results, workspace = make_study(folder, toml or small_toml())
    vote_service = VoteService(workspace.database, workspace.study)
    registry = Registry(workspace.database, workspace.study)
    invite = practised(workspace, "r02")
    for number in range(5):
        state = vote_service.state(invite)
        assert state.current is not None
        display = DisplayRecord(
            surface="stage",
            pixel_ratio=1.1,
            rect_left=0.1 + 0.2,
            rect_top=3.0,
            rect_width=28.0,
            rect_height=20.0,
            zoom=1.0,
            window_width=1280,
            window_height=720,
            screen_width=1280,
            screen_height=800,
            hidden=number == 2,
        )
        if number == 4:
            display = DisplayRecord(surface="plain")
        ballot = Ballot(
            item=state.current.item,
            nonce=f"{number:022d}",
            score=1 + number,
            response_ms=700 + number,
            display=display,
        )
        after = vote_service.vote(invite, ballot).state
        if number == 3:
            assert after.current is not None
            back = vote_service.undo(invite, after.current.item).state
            assert back.current is not None
            again = {"item": back.current.item, "nonce": "again" + "x" * 17}
            assert vote_service.vote(invite, ballot.model_copy(update=again)).verdict == "saved"
    registry.exclude("r02", 'said "I, too, am blind"\nand left', "admin")
    return results, workspace, invite


def test_simulate_fills_the_papers_design(paper: tuple[Workspace, Path]) -> None:
    workspace, path = paper
    rows = list(csv.DictReader((path.parent / "export" / "ratings.csv").open(encoding="utf-8")))
    told = list(rows[0])
    assert told.index("answered_at") == told.index("answered_ms") + 1  # for people, beside the milliseconds
    assert tuple(name for name in told if name != "answered_at") == RATINGS_COLUMNS
    assert len(rows) == RATINGS_TOTAL
    people = (path.parent / "export" / "participants.tsv").read_text(encoding="utf-8").splitlines()
    assert {row["completed"] for row in csv.DictReader(people, delimiter="\t")} == {"1"}
    assert {row["synthetic"] for row in rows} == {"1"}
    assert len({(row["rater"], row["dataset"], row["image"], row["method"]) for row in rows}) == RATINGS_TOTAL
    assert workspace.study.synthetic
    manifest = json.loads((path.parent / "export" / "manifest.json").read_text(encoding="utf-8"))
    assert "synthetic" in manifest["notes"][0]
    assert "Synthetic" in (path.parent / "export" / "codebook.md").read_text(encoding="utf-8")


def test_simulated_means_are_the_wanted_ones(paper: tuple[Workspace, Path]) -> None:
    workspace, _ = paper
    answers = read_answers(workspace.database)
    votes = answers[answers["phase"] == "rating"]
    means = votes.groupby(["dataset", "method"])["score"].mean()
    wanted = paper_means()
    for (dataset, method), mean in means.items():
        # three standard errors for the effects of images, raters and both
        images = {"Set5": 5, "Set14": 14, "BSD100": 100}[dataset]
        error = np.sqrt(0.25**2 / images + (0.3**2 + 0.2**2) / 26 + 0.6**2 / (26 * images))
        assert abs(mean - wanted[dataset, method]) < 3.2 * error, (dataset, method)


def test_latent_means_give_the_wanted_scores() -> None:
    for mean in (1.11, 2.0, 3.5, 4.46):
        assert expected_score(latent_for(mean, 0.75), 0.75) == pytest.approx(mean, abs=1e-9)
    draws = np.clip(np.floor(np.random.default_rng(0).normal(2.3, 0.8, 400_000) + 0.5), 1, 5)
    assert draws.mean() == pytest.approx(expected_score(2.3, 0.8), abs=0.005)


def test_export_then_import_gives_the_same_bytes(paper: tuple[Workspace, Path], tmp_path: Path) -> None:
    _, path = paper
    import_study(Results(tmp_path), path, name="again")
    workspace = open_workspace(Results(tmp_path), "again")
    assert export_study(workspace).read_bytes() == path.read_bytes()
    workspace.close()


def test_a_real_studys_export_comes_back_to_the_byte_without_its_secrets(tmp_path: Path) -> None:
    _, workspace, invite = real_study(tmp_path / "one")
    path = export_study(workspace)
    exported = path.read_bytes()
    assert export_study(workspace).read_bytes() == exported
    files = read_export(path)
    everything = b"".join(files.values())
    hashes = hashlib.sha256(invite.encode()).hexdigest().encode()
    for secret in (invite.encode(), hashes, workspace.study.secret.encode()):
        assert secret not in everything
    ratings = pd.read_csv(io.BytesIO(files["ratings.csv"]))
    assert list(ratings["score"]) == [1, 2, 3, 4, 5]
    assert set(ratings["excluded"]) == {1}
    assert set(ratings["synthetic"]) == {0}
    practice = pd.read_csv(io.BytesIO(files["calibration.csv"]))
    assert set(practice["phase"]) == {"example", "check"}
    assert len(pd.read_csv(io.BytesIO(files["withdrawn.csv"]))) == 1
    answers = pd.read_csv(io.BytesIO(files["answers.csv"]))
    assert (
        answers["deviations"].fillna("").str.split().explode().isin(["offgrid", "hidden", "unmeasured"]).any()
    )
    wide = pd.read_csv(io.BytesIO(files["ratings_wide.csv"]))
    assert sorted(wide["r02"]) == [1, 2, 3, 4, 5]
    name = import_study(Results(tmp_path / "two"), path)
    again = open_workspace(Results(tmp_path / "two"), name)
    assert export_study(again).read_bytes() == exported
    assert not again.study.servable
    workspace.close()
    again.close()
    with pytest.raises(UserError, match="exists already"):
        import_study(Results(tmp_path / "two"), path)


@pytest.mark.parametrize(
    "said", ["=HYPERLINK(A1)", "+1", "-", "@me", "'=2", "''+3", "'tis", "'", 'plain, "quoted"', ""]
)
def test_what_raters_typed_is_no_formula_and_comes_back_as_it_was(said: str) -> None:
    table = pd.DataFrame({"code": ["r01"], "comment": [said]})
    data = csv_bytes(table)
    (row,) = csv.DictReader(io.StringIO(data.decode()))
    assert row["comment"][:1] not in {"=", "+", "-", "@"}
    assert records_of(data) == [{"code": "r01", "comment": said}]


def test_sureals_reader_takes_the_export(paper: tuple[Workspace, Path]) -> None:
    """sureal 0.9 reads the JSON, and its model of P.910 gives our live figures."""
    from types import SimpleNamespace

    from sureal.dataset_reader import RawDatasetReader
    from sureal.subjective_model import (
        MaximumLikelihoodEstimationModelContentObliviousAlternativeProjection as AlternatingProjection,
    )
    from sureal.subjective_model import MosModel

    workspace, path = paper
    told = json.loads((path.parent / "export" / "sureal.json").read_text(encoding="utf-8"))
    reader = RawDatasetReader(SimpleNamespace(**told))
    mos = np.asarray(MosModel(reader).run_modeling()["quality_scores"])
    answers = read_answers(workspace.database)
    votes = answers[answers["phase"] == "rating"]
    table = votes.pivot(index=["dataset", "image", "method"], columns="rater", values="score")
    assert mos == pytest.approx(table.mean(axis=1).to_numpy(), abs=1e-12)
    theirs = AlternatingProjection(reader).run_modeling()
    model = p910(table.to_numpy(dtype=float), floor=ROUNDING)
    assert model.quality_e == pytest.approx(np.asarray(theirs["quality_scores"]), abs=1e-4)
    assert model.bias_r == pytest.approx(np.asarray(theirs["observer_bias"]), abs=1e-4)
    assert model.inconsistency_r == pytest.approx(np.asarray(theirs["observer_inconsistency"]), abs=1e-4)


def test_an_export_of_the_first_format_is_imported(tmp_path: Path) -> None:
    """Made by the program as of commit 0148216, with a client's address in its log."""
    path = Path(__file__).parent / "golden" / "mos_export_format1.zip"
    old = read_export(path)
    assert b"192.0.2.1" in old["events.csv"]
    name = import_study(Results(tmp_path), path)
    workspace = open_workspace(Results(tmp_path), name)
    again = read_export(export_study(workspace))
    assert b"192.0.2.1" not in b"".join(again.values())
    for table in ("ratings.csv", "answers.csv", "withdrawn.csv", "raters.csv"):
        before, now = (pd.read_csv(io.BytesIO(files[table])) for files in (old, again))
        pd.testing.assert_frame_equal(before, now[list(before.columns)])
    assert json.loads(again["study.json"])["format"] == FORMAT
    workspace.close()


def test_the_export_serves_readers_as_it_is(tmp_path: Path) -> None:
    from analysis.io.ratings import read_ratings

    _, workspace, _ = real_study(tmp_path)
    Registry(workspace.database, workspace.study).include("r02", "was awake", "admin")
    folder = export_study(workspace).parent / "export"
    ratings = pd.read_csv(folder / "ratings.csv")
    assert {"deviations", "exposures", "pixel_ratio", "surface", "answered_ms", "answered_at"} <= set(ratings)
    at = pd.to_datetime(ratings["answered_at"])
    assert ((at - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(milliseconds=1) == ratings["answered_ms"]).all()
    assert "consent_at" in pd.read_csv(folder / "raters.csv")
    people = pd.read_csv(folder / "participants.tsv", sep="\t", keep_default_na=False)
    assert list(people["participant_id"]) == ["sub-r01", "sub-r02", "sub-r03"]
    assert list(people["age_band"]) == ["n/a", "25-34", "n/a"]
    sidecar = json.loads((folder / "participants.json").read_text(encoding="utf-8"))
    assert set(people.columns) == set(sidecar)
    explained = json.loads((folder / "ratings.json").read_text(encoding="utf-8"))
    assert set(explained) <= set(ratings)
    mos = pd.read_csv(folder / "mos.csv", keep_default_na=False)
    assert tuple(mos.columns) == MOS_COLUMNS
    whole = mos[mos["image"] == ""].set_index("method")["mos"].astype(float)
    for method, votes in ratings.groupby("method"):
        assert whole[method] == pytest.approx(votes["score"].mean())
    assert len(read_ratings(folder / "ratings.csv").frame) == 5
    workspace.close()


def test_votes_with_named_deviations_are_left_out_of_mos_and_analysis(tmp_path: Path) -> None:
    from analysis.io.ratings import read_ratings

    toml = small_toml(more='\n[quality]\nleave_out = ["hidden", "unmeasured"]\n')
    _, workspace, _ = real_study(tmp_path, toml)
    Registry(workspace.database, workspace.study).include("r02", "was awake", "admin")
    folder = export_study(workspace).parent / "export"
    told = pd.read_csv(folder / "ratings.csv")
    assert len(told) == 5  # the export holds them all
    ratings = read_ratings(folder / "ratings.csv")
    assert (len(ratings.frame), ratings.deviating) == (3, 2)
    assert "2 votes with display deviations (hidden, unmeasured)" in ratings.notes[0]
    mos = pd.read_csv(folder / "mos.csv", keep_default_na=False)
    assert mos.loc[mos["image"] == "", "votes"].sum() == 3
    workspace.close()


def test_the_analysis_takes_studies_in_which_nobody_sees_everything(tmp_path: Path) -> None:
    from analysis.io.ratings import read_ratings
    from analysis.study.results import analyse

    toml = small_toml(raters=12, images=9, distance=2, more="\n[subset]\nimages = { Set5 = 3 }\n")
    config = parse_study(toml, "x")
    make_synthetic_study(Results(tmp_path), config, toml, name="small-synthetic")
    workspace = open_workspace(Results(tmp_path), "small-synthetic")
    fill_study(workspace, 12, SimulationParameters(), seed=0)
    ratings = read_ratings(export_study(workspace).parent / "export" / "ratings.csv")
    assert len(ratings.frame) == 12 * 3 * 4
    per_image = ratings.frame.groupby("image")["rater"].nunique()
    assert (per_image == 4).all()
    assert analyse(ratings, None, seed=0, draws=100) is not None
    workspace.close()


def test_mos_and_dmos_by_hand() -> None:
    config = parse_study(small_toml(), "x")
    scores = {"HR": [[5, 4], [4, 4], [5, 3]], "nearest": [[1, 2], [2, 2], [1, 1]]}  # image by rater
    rows = [
        ("Set5", f"i{image}", method, f"r{rater}", 0, score, False)
        for method, table in scores.items()
        for image, row in enumerate(table)
        for rater, score in enumerate(row)
    ]
    columns = ["dataset", "image", "method", "rater", "repeat", "score", "excluded"]
    votes = pd.DataFrame([*rows, ("Set5", "i0", "nearest", "r9", 0, 5, True)], columns=columns)
    table = opinion_scores(votes, config).set_index(["method", "image"])
    assert table.loc[("nearest", ""), "mos"] == pytest.approx(1.5)
    assert table.loc[("nearest", ""), "dmos"] == pytest.approx(1.5 - 25 / 6 + 5, abs=1e-6)
    assert table.loc[("HR", ""), ["dmos", "dmos_low", "dmos_high"]].tolist() == [5, 5, 5]
    low, high = table.loc[("nearest", "i0"), ["mos_low", "mos_high"]]
    # two scores, 1 and 2: Student's t with one degree of freedom
    assert (low, high) == pytest.approx((1.5 - 12.7062 * 0.5, 1.5 + 12.7062 * 0.5), abs=1e-3)
    assert table.loc[("nearest", ""), "raters"] == 2


def test_excluded_raters_do_not_shape_the_others_figures(pilot: Workspace) -> None:
    answers = read_answers(pilot.database)
    votes = answers[(answers["phase"] == "rating") & answers["rater"].isin(["r01", "r02", "r03", "r26"])]
    marked = votes.assign(excluded=votes["rater"] == "r26")
    config = pilot.study.config
    judged = rater_quality(marked, 100, config).set_index("rater")
    alone = rater_quality(votes[votes["rater"] != "r26"], 100, config).set_index("rater")
    pd.testing.assert_frame_equal(judged.drop("r26"), alone)
    assert "unlike the others" in judged.loc["r26", "warnings"]
    assert list(judged.index) == ["r01", "r02", "r03", "r26"]


def test_the_admins_tables_are_computed_when_something_changed(tmp_path: Path) -> None:
    _, workspace, invite = real_study(tmp_path)
    now = [0.0]
    overviews = Overviews(workspace.database, workspace.study, lambda: now[0])
    first = overviews.get()
    now[0] = 1000.0
    assert overviews.get() is first
    vote_service = VoteService(workspace.database, workspace.study)
    item = vote_service.state(invite).current
    assert item is not None
    press = Ballot(
        item=item.item, nonce="m" * 22, score=2, response_ms=600, display=DisplayRecord(surface="plain")
    )
    vote_service.vote(invite, press)
    second = overviews.get()
    assert len(second.votes) == len(first.votes) + 1
    back = vote_service.undo(invite, vote_service.state(invite).current.item)  # type: ignore[union-attr]
    assert back.verdict == "saved"
    now[0] += 5
    assert overviews.get() is second  # votes alone: at most twenty seconds old
    assert len(overviews.get(fresh=True).votes) == len(first.votes)
    Registry(workspace.database, workspace.study).include("r02", "was awake", "admin")
    assert not overviews.get().raters["excluded"].any()  # decisions show at once
    workspace.close()


def test_hostile_zips_are_refused(paper: tuple[Workspace, Path], tmp_path: Path) -> None:
    files = read_export(paper[1])
    results = Results(tmp_path / "results")

    def refused(name: str, data: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(UserError) as error:
            import_study(results, path)
        return str(error.value)

    assert "not an export" in refused("text.zip", b"hello")
    assert "foreign" in refused("path.zip", zip_bytes({**files, "../../evil": b"x"}))
    assert "changed" in refused("changed.zip", zip_bytes({**files, "ratings.csv": b"x"}))
    assert "missing" in refused("less.zip", zip_bytes({k: v for k, v in files.items() if k != "raters.csv"}))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("ratings.csv", b"\0" * 600_000_000)
    assert "too large" in refused("bomb.zip", buffer.getvalue())
    manifest = json.loads(files["manifest.json"])
    broken = files["answers.csv"].replace(b"check", b"chick")
    manifest["outputs"]["answers.csv"] = hashlib.sha256(broken).hexdigest()
    told = json.dumps(manifest).encode()
    refused("broken.zip", zip_bytes({**files, "answers.csv": broken, "manifest.json": told}))
    assert not [path for path in (tmp_path / "results").rglob("*") if path.is_file()]


def test_a_damaged_download_is_refused_wherever_it_is_damaged(tmp_path: Path) -> None:
    _, workspace = make_study(tmp_path, small_toml())
    whole = export_study(workspace).read_bytes()
    workspace.close()
    path = tmp_path / "damaged.zip"
    path.write_bytes(whole)
    files, refused = read_export(path), 0
    for at in range(0, len(whole), len(whole) // 60):
        inverted = bytes(255 - byte for byte in whole[at : at + 9])
        for data in (whole[:at], whole[:at] + inverted + whole[at + 9 :]):
            path.write_bytes(data)
            try:  # bytes that say nothing (a date) may be damaged
                assert read_export(path) == files
            except UserError:
                refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("study.json", b'"name": "small"', b'"name": "a\\r\\nX-Evil: 1"'),
        ("study.toml", b"small", b"\xff"),
        ("stimuli.csv", b",20,", b",0,"),
    ],
)
def test_exports_made_by_hand_are_refused(tmp_path: Path, name: str, old: bytes, new: bytes) -> None:
    """Their hashes agree; what they say does not do."""
    _, workspace = make_study(tmp_path, small_toml())
    files = export_files(workspace.database, workspace.study)
    workspace.close()
    assert old in files[name]
    files[name] = files[name].replace(old, new)
    manifest = json.loads(files["manifest.json"])
    manifest["outputs"][name] = hashlib.sha256(files[name]).hexdigest()
    path = tmp_path / "hand.zip"
    path.write_bytes(zip_bytes({**files, "manifest.json": json.dumps(manifest).encode()}))
    with pytest.raises(UserError):
        import_study(Results(tmp_path / "two"), path, name="copy")
    assert not [file for file in (tmp_path / "two").rglob("*") if file.is_file()]


def test_an_export_is_of_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vote that is taken back while the export is made is given or taken back in it, not both."""
    _, workspace, _ = real_study(tmp_path)
    vote_service = VoteService(workspace.database, workspace.study)
    invite = practised(workspace, "r01")
    for number in range(2):
        current = vote_service.state(invite).current
        assert current is not None
        display = DisplayRecord(surface="plain")
        press = Ballot(item=current.item, nonce=f"{number:022d}", score=3, response_ms=900, display=display)
        assert vote_service.vote(invite, press).verdict == "saved"

    def then_undo(*arguments: Any, **options: Any) -> pd.DataFrame:
        frame = read_answers(*arguments, **options)
        now = vote_service.state(invite).current
        assert now is not None
        vote_service.undo(invite, now.item)
        return frame

    before = export_files(workspace.database, workspace.study)
    monkeypatch.setattr("mos_app.files.archive.read_answers", then_undo)
    during = export_files(workspace.database, workspace.study)
    assert vote_service.state(invite).done == 1
    for name in ("answers.csv", "withdrawn.csv", "presentations.csv", "events.csv"):
        assert during[name] == before[name]
    workspace.close()


def test_a_backup_is_private_and_follows_the_databases_url(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    url = sqlite_url(tmp_path / "elsewhere" / "votes.db")
    results, workspace = make_study(tmp_path, small_toml(), url=url)
    invite = practised(workspace, "r01")
    back_up(workspace, tmp_path / "backup")
    workspace.close()
    assert not workspace.folder.database.exists()
    assert (tmp_path / "backup" / "study.db").stat().st_mode & 0o777 == 0o600
    restore(results, tmp_path / "backup", "restored")
    with open_workspace(results, "restored") as copy:
        assert VoteService(copy.database, copy.study).state(invite).screen.phase == "rating"


def test_backup_while_votes_go_on_and_restore(tmp_path: Path) -> None:
    results, workspace = make_study(tmp_path, small_toml(images=24, blocks=3, distance=4))
    vote_service = VoteService(workspace.database, workspace.study)
    invite = practised(workspace, "r01")
    stop = threading.Event()
    given: list[int] = []

    def vote() -> None:
        while not stop.is_set():
            state = vote_service.state(invite)
            if state.current is None:
                return
            ballot = Ballot(
                item=state.current.item,
                nonce=f"{state.done:022d}",
                score=3,
                response_ms=900,
                display=DisplayRecord(surface="plain"),
            )
            vote_service.vote(invite, ballot)
            given.append(state.done)

    voter = threading.Thread(target=vote)
    voter.start()
    while len(given) < 5:
        time.sleep(0.01)
    before = len(given)
    back_up(workspace, tmp_path / "backup")
    after = len(given)
    stop.set()
    voter.join()
    with pytest.raises(UserError, match="exists already"):
        back_up(workspace, tmp_path / "backup")
    restore(results, tmp_path / "backup", "restored")
    copy = open_workspace(results, "restored")
    state = VoteService(copy.database, copy.study).state(invite)  # the link still works
    assert before <= state.done <= after + 1
    assert copy.study.secret == workspace.study.secret
    originals = {path.name: path.read_bytes() for path in workspace.folder.stimuli.iterdir()}
    assert {path.name: path.read_bytes() for path in copy.folder.stimuli.iterdir()} == originals
    copy.close()
    workspace.close()
    with pytest.raises(UserError, match="exists already"):
        restore(results, tmp_path / "backup", "restored")
    data = bytearray((tmp_path / "backup" / "study.db").read_bytes())
    data[4096 : 4096 * 6] = b"\xff" * (4096 * 5)
    (tmp_path / "backup" / "study.db").write_bytes(data)
    with pytest.raises((UserError, sqlite3.DatabaseError)):
        restore(results, tmp_path / "backup", "damaged")


def test_simulate_never_touches_a_study_of_people(tmp_path: Path) -> None:
    results, workspace = make_study(tmp_path, small_toml())
    config = workspace.study.config
    with pytest.raises(UserError, match="real raters"):
        make_synthetic_study(results, config, small_toml(), name="small")
    with pytest.raises(UserError, match="for people"):
        fill_study(workspace, 1, SimulationParameters(), 0)
    workspace.close()


def test_quality_control_finds_the_careless(pilot: Workspace) -> None:
    answers = read_answers(pilot.database)
    votes = answers[answers["phase"] == "rating"]
    table = rater_quality(votes, 100, pilot.study.config).set_index("rater")
    assert set(table.index[table["warnings"].str.contains("unlike the others")]) == {"r25", "r26"}
    good = table.drop(["r25", "r26"])
    assert table.loc[["r25", "r26"], "inconsistency"].min() > 1.5 * good["inconsistency"].max() * 0.8
    assert abs(good["bias"].mean()) < 0.2
    assert (table["done"] == 1).all()
    mos = live_mos(votes, pilot.study.config)
    assert ((mos["low"] < mos["mos"]) & (mos["mos"] < mos["high"])).all()
    assert longest_run(np.array([1.0, 2, 2, 2, 3, 2, 2])) == 3
    assert longest_run(np.array([])) == 0
    assert rater_quality(votes.iloc[:0], 100, pilot.study.config).empty
    assert live_mos(votes.iloc[:0], pilot.study.config).empty


def test_subject_model_recovers_its_parameters() -> None:
    rng = np.random.default_rng(1)
    quality = rng.uniform(1.5, 4.5, 300)
    bias = rng.normal(0, 0.4, 12)
    noise = rng.uniform(0.2, 1.0, 12)
    scores = quality[:, None] + bias + noise * rng.standard_normal((300, 12))
    scores[rng.random(scores.shape) < 0.1] = np.nan
    model = p910(scores, floor=ROUNDING)
    assert model.bias_r == pytest.approx(bias - bias.mean(), abs=0.12)
    assert model.inconsistency_r == pytest.approx(noise, abs=0.06)
    assert np.corrcoef(model.quality_e, quality)[0, 1] > 0.98


def pilot_ratings(second: list[int], first: list[int], raters: int = 20) -> pd.DataFrame:
    rows = [
        ("BSD100", f"i{image}", "X", f"r{rater:02d}", repeat, scores[image], False)
        for rater in range(raters)
        for repeat, scores in ((0, first), (1, second))
        for image in range(len(first))
    ]
    return pd.DataFrame(rows, columns=["dataset", "image", "method", "rater", "repeat", "score", "excluded"])


def test_pilot_says_go_and_no_go() -> None:
    part = PilotPart(dataset="BSD100", method="X")
    same = pilot_report(pilot_ratings([1, 2, 3, 4], [1, 2, 3, 4]), part)
    assert (same.exact, same.within_one, same.kappa, same.icc) == pytest.approx((1, 1, 1, 1))
    assert same.wilcoxon.p == 1
    assert same.go
    shifted = pilot_report(pilot_ratings([2, 3, 4, 5], [1, 2, 3, 4]), part)
    assert shifted.exact == 0
    assert shifted.difference.mean == 1
    assert shifted.wilcoxon.p < 0.001
    assert not shifted.go
    assert shifted.lines()[-1].startswith("NO GO")
    # kappa by hand: observed disagreement 1 (one step each), expected from the margins
    expected = np.mean([(a - b) ** 2 for a in (1, 2, 3, 4) for b in (2, 3, 4, 5)])
    assert shifted.kappa == pytest.approx(1 - 1 / expected)
    with pytest.raises(UserError, match="fewer than two"):
        pilot_report(pilot_ratings([1], [1], raters=1), part)


def test_plan_says_what_can_be_resolved() -> None:
    config, _ = read_template("paper")
    found = {line.dataset: line for line in resolutions(config, 26, Spread())}
    assert found["BSD100"].difference == pytest.approx(0.1, abs=0.04)
    assert found["Set14"].difference == pytest.approx(0.25, abs=0.05)
    assert not found["Set5"].per_image
    assert found["Set14"].per_image
    more = {line.dataset: line for line in resolutions(config, 100, Spread())}
    assert all(more[name].difference < found[name].difference for name in found)


def test_init_names_what_is_missing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    from mos_helpers.studies import fill_store

    results = Results(tmp_path)
    toml = small_toml()
    config = parse_study(toml, "x")
    with pytest.raises(UserError) as refused:
        init_study(results, config, toml, name="small")
    assert "Set5 has 0 originals of 6; BSD300-calibration has 0 originals of 2" in refused.value.got
    assert "upscale --dataset Set5 --dataset BSD300-calibration" in refused.value.next_step
    fill_store(results, config)
    results.image("Set5", "bicubic", "img_004").unlink()
    other = results.image("Set5", "bicubic (authors)", "img_004")
    write_png(other, np.zeros((20, 24, 3), dtype=np.uint8))
    with pytest.raises(
        UserError, match=r"Set5/bicubic: 1 \(the store has 'bicubic', 'bicubic \(authors\)'\)"
    ):
        init_study(results, config, toml, name="small")
    assert not list(tmp_path.glob("studies/*"))
    assert not list(tmp_path.glob("studies/.*"))
    assert init_study(results, config, toml, name="small", skip_missing=True) == [("Set5", "bicubic")]
    workspace = open_workspace(results, "small")
    assert len(workspace.study.items) == 18
    workspace.close()
    pixels = np.zeros((20, 24, 3), dtype=np.uint8)
    write_png(results.image("Set5", "SRGAN-VGG54", "img_002"), pixels)
    with pytest.raises(UserError, match="differ in size"):
        init_study(results, config, toml, name="other", skip_missing=True)
    assert [path.name for path in (tmp_path / "studies").iterdir()] == ["small"]


def test_stimuli_are_stripped_hash_named_and_pixel_identical(tmp_path: Path) -> None:
    from mos_helpers.studies import fill_store
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    results = Results(tmp_path)
    toml = small_toml()
    config = parse_study(toml, "x")
    fill_store(results, config)
    path = results.image("Set5", "SRGAN-VGG54", "img_001")
    with Image.open(path) as image:
        image.load()
        told = PngInfo()
        told.add_text("method", "SRGAN-VGG54")
        image.save(path, pnginfo=told, dpi=(300, 300), icc_profile=b"secret profile")
        pixels = np.asarray(image)
    init_study(results, config, toml, name="small")
    folder = tmp_path / "studies" / "small" / "stimuli"
    found = 0
    for stimulus in folder.iterdir():
        data = stimulus.read_bytes()
        assert hashlib.sha256(data).hexdigest() == stimulus.stem
        assert {data[k + 4 : k + 8] for k in chunk_offsets(data)} == {b"IHDR", b"IDAT", b"paDd", b"IEND"}
        with Image.open(stimulus) as image:
            assert image.mode == "RGB"
            found += np.array_equal(np.asarray(image), pixels)
    assert found == 1


def test_a_files_size_does_not_name_its_method(tmp_path: Path) -> None:
    """The demo's photographs: unpadded, nearest was the smallest file and bicubic the second in 5 of 5."""
    config, toml = read_template("demo")
    init_study(Results(tmp_path), config, toml, name="demo")
    workspace = open_workspace(Results(tmp_path), "demo")
    stimuli = read_stimuli(workspace.database)
    sizes = [len((workspace.folder.stimuli / f"{name}.png").read_bytes()) for name in stimuli["sha256"]]
    per_image = stimuli.assign(size=sizes).groupby(["dataset", "image"])["size"].nunique()
    assert len(per_image) == 11
    assert (per_image == 1).all()
    assert stimuli["sha256"].is_unique
    workspace.close()


def chunk_offsets(data: bytes) -> list[int]:
    offsets, at = [], 8
    while at < len(data):
        offsets.append(at)
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return offsets
