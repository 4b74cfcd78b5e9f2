"""Synthetic raters of known parameters: fills a study's design as if people had rated it.

score = clip(round(latent)),
latent = m + image x method effect + rater's bias + rater x method effect + noise.
``m`` is chosen so that the expected *score*, after rounding and clipping, is the wanted mean opinion score.
On a continuous scale the latent value itself is the answer. Of a pair the higher one is preferred; less than
:data:`TIE_WIDTH` between them is no difference.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from analysis.stats.defaults import Spread
from analysis.stats.votes import SLIDER_STEPS
from mos_app.db.raters import AGE_BANDS, DISPLAYS, VISIONS
from mos_app.db.studies import ImageVersions, add_raters
from mos_app.db.tables import insert_answers, read_presentations, restore_events, set_rater_fields
from mos_app.files.workspace import Workspace, make_study, open_workspace, study_folder
from mos_app.study.definition import StudyConfig
from mos_app.study.parts import LEFT, RIGHT, TIE, ScalePart
from mos_app.study.preregistration import frozen
from mos_app.study.progress import Phase, label_of
from mos_app.study.studyfile import parse_study
from repro.core.atomic import write_json
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.streams import stream
from repro.papers.srgan import TABLE1, TABLE2

TIE_WIDTH = 0.35

_START_MS = 946_684_800_000
"""1 January 2000: a date that nobody takes for a real one."""


@dataclass(frozen=True)
class SimulationParameters:
    """Standard deviations on the five-point scale, and the raters' pace."""

    rater_bias_sd: float = Spread.rater
    image_method_sd: float = Spread.image_method
    rater_method_sd: float = Spread.rater_method
    noise_sd: float = Spread.noise
    noise_spread: float = 0.3
    """Log-normal spread of the noise from rater to rater."""
    careless: int = 0
    """How many of the last raters answer at random."""
    median_response_ms: float = 2400.0

    def latent_sd(self) -> float:
        """Of one score's latent value around its method's mean."""
        parts = (self.rater_bias_sd, self.image_method_sd, self.rater_method_sd, self.noise_sd)
        return float(np.sqrt(sum(part**2 for part in parts)))


def paper_means() -> dict[tuple[str, str], float]:
    """(data set, method) -> mean opinion score as the paper printed it (Tables 1 and 2)."""
    return {key: cell.mos for table in (TABLE1, TABLE2) for key, cell in table.items()}


def expected_score(latent: float, sd: float) -> float:
    """Expectation of a normal latent value after rounding to 1..5."""
    edges = np.array([1.5, 2.5, 3.5, 4.5])
    return float(1 + (1 - norm.cdf(edges, latent, sd)).sum())


def latent_for(mean: float, sd: float) -> float:
    """The latent mean whose expected score is ``mean`` (1 < mean < 5)."""
    found = brentq(lambda latent: expected_score(latent, sd) - mean, -20.0, 26.0)
    return float(found)


def method_means(config: StudyConfig) -> dict[tuple[str, str], float]:
    """The wanted mean of every (data set, method): the paper's, else spread evenly from 1.3 to 4.4."""
    printed = paper_means()
    means = {}
    for part in config.datasets:
        spread = np.linspace(1.3, 4.4, len(part.methods))
        for method, other in zip(part.methods, spread, strict=True):
            means[part.name, method] = printed.get((part.name, method), float(other))
    return means


def draw_answers(
    places: pd.DataFrame,
    means: Mapping[tuple[str, str], float],
    parameters: SimulationParameters,
    seed: int,
    scale: ScalePart,
) -> pd.DataFrame:
    """An answer for every row of ``places`` (columns rater, dataset, image, method, swapped).

    Every effect comes from a stream of its own name, so that adding a rater changes nobody else's scores
    of the same effects.

    Returns:
        score, and slider (empty but on a continuous scale).
    """
    slider = np.full(len(places), np.nan)
    if scale.method == "pair":
        first, second = (
            draw_latent(
                places.assign(method=places["method"].str.split("|").str[k]), means, parameters, seed, f"{k}"
            )
            for k in (0, 1)
        )
        right = np.where(places["swapped"], first - second, second - first)
        scores = np.where(right > 0, RIGHT, LEFT)
        if scale.ties:
            scores[np.abs(right) < TIE_WIDTH] = TIE
    else:
        latent = draw_latent(places, means, parameters, seed)
        scores = np.clip(np.floor(latent + 0.5), 1, 5).astype(np.int64)
        if scale.method == "slider":
            slider = np.clip(np.floor(SLIDER_STEPS / 5 * (latent - 0.5)), 0, SLIDER_STEPS)
    raters = list(dict.fromkeys(places["rater"]))
    careless = set(raters[max(0, len(raters) - parameters.careless) :])
    at_random = places["rater"].isin(careless).to_numpy()
    drawn = stream(seed, "simulate", "careless").integers(0, len(scale.scores), int(at_random.sum()))
    scores[at_random] = np.array(scale.scores)[drawn]
    slider[at_random] += SLIDER_STEPS / 5 * (scores[at_random] - 0.5) - slider[at_random]
    return pd.DataFrame({"score": scores, "slider": slider}).astype({"slider": "Int64"})


def draw_latent(
    places: pd.DataFrame,
    means: Mapping[tuple[str, str], float],
    parameters: SimulationParameters,
    seed: int,
    showing: str = "",
) -> NDArray[np.float64]:
    """What a rater thinks of a picture, before it becomes an answer; the noise is that of one ``showing``."""
    sd = parameters.latent_sd()
    latent = _by_key(places, ("dataset", "method"), lambda key: latent_for(means[key], sd))
    normal = _effects(places, seed)
    latent = latent + parameters.image_method_sd * normal("dataset", "image", "method")
    latent = latent + parameters.rater_bias_sd * normal("rater")
    latent = latent + parameters.rater_method_sd * normal("rater", "method")
    # mean square of the log-normal factor is one, so the noise has the wanted variance over raters
    spread = parameters.noise_spread
    factor = np.exp(spread * normal("rater", purpose="noise") - spread**2)
    rng = stream(seed, "simulate", "noise", *([showing] if showing else []))
    noise = parameters.noise_sd * factor * rng.standard_normal(len(places))
    return np.asarray(latent + noise, dtype=np.float64)


def _by_key(places: pd.DataFrame, columns: tuple[str, ...], value: Any) -> NDArray[np.float64]:
    keys = list(zip(*(places[column] for column in columns), strict=True))
    known = {key: value(key) for key in dict.fromkeys(keys)}
    return np.array([known[key] for key in keys])


def _effects(places: pd.DataFrame, seed: int) -> Any:
    def normal(*columns: str, purpose: str = "") -> NDArray[np.float64]:
        def draw(key: tuple[str, ...]) -> float:
            return float(stream(seed, "simulate", purpose, *columns, *key).standard_normal())

        return _by_key(places, columns, draw)

    return normal


def make_synthetic_study(
    results: Results, config: StudyConfig, config_toml: str, *, name: str, url: str | None = None
) -> None:
    """Makes a synthetic study of a design, without pictures; an older synthetic one of the name goes.

    Raises:
        UserError: a study of that name exists and is not synthetic.
    """
    folder = study_folder(results, name)
    if folder.path.exists():
        with open_workspace(results, name, url) as old:
            synthetic = old.study.synthetic
        if not synthetic or url is not None:
            raise UserError(
                f"study {name!r} exists{'' if synthetic else ' and has real raters'}",
                "a name that is free, or that of a simulated study in SQLite",
                "pass --name",
            )
        shutil.rmtree(folder.path)
    config_toml = frozen(config, config_toml, datetime.fromtimestamp(_START_MS / 1000, UTC))
    config = parse_study(config_toml, name)
    images = [
        ImageVersions(part.name, image, 4, 4, dict.fromkeys(part.methods, ("", "")))
        for part in config.datasets
        for image in (part.images or [f"img_{number:03d}" for number in range(1, part.count + 1)])
    ]
    calibration = config.calibration
    both = dict.fromkeys((calibration.low, calibration.high), ("", ""))
    images += [
        ImageVersions(calibration.dataset, f"cal_{number:03d}", 4, 4, both)
        for number in range(1, calibration.images + 1)
    ]
    make_study(
        results,
        config,
        config_toml,
        name=name,
        url=url,
        left_out=[],
        images=images,
        synthetic=True,
        created_ms=_START_MS,
    )


def fill_study(
    workspace: Workspace, raters: int, parameters: SimulationParameters, seed: int
) -> dict[str, Any]:
    """Adds synthetic raters to a synthetic study and lets them answer everything.

    Returns:
        The parameters as written to ``simulation.json``.

    Raises:
        UserError: the study is not synthetic.
    """
    study = workspace.study
    if not study.synthetic:
        raise UserError(f"study {study.name!r} is for people", "a synthetic study", "simulate makes its own")
    codes = add_raters(workspace.database, study, raters, synthetic=True, at_ms=_START_MS)
    places = read_presentations(workspace.database)
    places = places[places["rater"].isin(codes)]
    means = method_means(study.config)
    rating = places[places["phase"] == Phase.RATING.value].reset_index(drop=True)
    first_check = (places["phase"] == Phase.CHECK.value) & (places["attempt"] == 1)
    practice = places[(places["phase"] == Phase.EXAMPLE.value) | first_check].reset_index(drop=True)
    by_the_book = [
        label_of(version, bool(swapped), study.config)
        for version, swapped in zip(practice["method"], practice["swapped"], strict=True)
    ]
    slider = [SLIDER_STEPS // 5 * label - SLIDER_STEPS // 10 for label in by_the_book]
    practice = practice.assign(score=by_the_book, slider=slider)
    rating = rating.join(draw_answers(rating, means, parameters, seed, study.config.scale))
    answered = pd.concat([practice, rating], ignore_index=True)
    if study.config.scale.method != "slider":
        answered["slider"] = None
    rng = stream(seed, "simulate", "pace")
    response = np.round(parameters.median_response_ms * np.exp(0.5 * rng.standard_normal(len(answered))))
    answered = answered.assign(
        response_ms=np.maximum(study.config.stage.minimum_exposure_ms, response).astype(np.int64),
    )
    elapsed = (answered["response_ms"] + 400).groupby(answered["rater"]).cumsum()
    answered = answered.assign(
        answered_ms=_START_MS + elapsed,
        nonce=[f"synthetic-{number:012d}" for number in range(len(answered))],
        surface="synthetic",
        deviations="",
    )
    fields = ("rater", "phase", "attempt", "position", "score", "slider", "showing", "nonce")
    columns = [*fields, "response_ms", "answered_ms", "surface", "deviations"]
    insert_answers(
        workspace.database,
        answered[columns].astype(object).to_dict("records"),  # type: ignore[arg-type]
    )
    for code in codes:
        who = stream(seed, "simulate", "rater", code)
        set_rater_fields(
            workspace.database,
            code,
            language=study.config.languages[0],
            consent_version=study.config.consent.version,
            consent_ms=_START_MS,
            age_band=AGE_BANDS[int(who.integers(6))],
            vision=VISIONS[int(who.integers(2))],
            display=DISPLAYS[int(who.integers(2))],
            viewing_ms=_START_MS,
            instructed_ms=_START_MS,
            completed_ms=int(answered.loc[answered["rater"] == code, "answered_ms"].max()),
        )
    events = [
        {"at_ms": _START_MS, "actor": "command", "rater": code, "kind": "simulated", "detail": "{}"}
        for code in codes
    ]
    restore_events(workspace.database, events)
    told = {
        "model": "clip(round(m + image x method + rater + rater x method + noise))",
        "parameters": asdict(parameters),
        "seed": seed,
        "raters": raters,
        "expected_mos": {f"{dataset}/{method}": mean for (dataset, method), mean in means.items()},
    }
    write_json(workspace.folder.path / "simulation.json", told)
    return told
