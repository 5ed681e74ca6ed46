"""The screen: random directions, the search for what they show, and fresh ones that certify.

A verdict in a number of evaluations that hardly grows with theta.
"""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.budget import Budget, would_do
from fastgrad.checks.claim import Claim
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Outcome, merged
from fastgrad.checks.rules import Rule
from fastgrad.checks.screen.findings import WHOLE_BLOCK, Finding
from fastgrad.checks.screen.first_look import Along, FirstLook
from fastgrad.checks.screen.found import Found, block_rms
from fastgrad.checks.screen.limits import USEFUL_LIMIT, USEFUL_NORM, entry_limit, norm_limit
from fastgrad.checks.screen.locate import ALL_STAGES, Locator, most_evaluations
from fastgrad.checks.screen.noisy import (
    HEARD_EVALUATIONS,
    heard,
    is_rough,
    jumps,
    may_be_rough,
    screen_rough,
)
from fastgrad.checks.screen.residuals import FINER, Reading, Residuals
from fastgrad.checks.screen.screen import (
    GLOBAL,
    Screen,
    block_stream,
    look,
    screen_evaluations,
)
from fastgrad.checks.screen.smeared import Smear, chart_of
from fastgrad.checks.screen.spot_checks import OutOfBudgetError, SpotChecks, Suspects
from fastgrad.checks.screen.summary import outcome_of, with_refuted
from fastgrad.checks.screen.told import sentence_of
from fastgrad.checks.stages.useless_bars import AWAY
from fastgrad.checks.sweep import EACH_ENTRY, EACH_UNIT
from fastgrad.differences.directions import Directions
from fastgrad.differences.few_digits import rounding_of
from fastgrad.differences.lattice import finest_offset
from fastgrad.differences.lines import Lines
from fastgrad.differences.loss import Loss
from fastgrad.differences.noise_lines import studied
from fastgrad.differences.own_units import begun, is_lost, turns
from fastgrad.differences.signs import signs_of
from fastgrad.differences.unknown_units import SOUGHT, in_claimed_units
from fastgrad.numerics.noise import POINTS, UNSURPRISING
from fastgrad.report.progress import progress_bar

ATTEMPTS = 3
"""Rounds of locating, until fresh directions through all that is left are clean."""
FRESH = 1 << 10
"""Global directions from here on certify."""
HUNTING = 1 << 9
"""A block's own directions from here on hunt for errors that a projection spread."""
MORE_IF_WRONG = 2
"""A sweep in which up to an eighth of the entries is wrong takes so many times what it takes else."""
NOT_FINITE = 16
"""Entries of a block that are not finite, and are looked at: enough to tell a law."""
ROUGH_AFAR = 2.0**-18
"""Relative noise at whose spacing, 2^-14 of the units, a loss that jumps is heard."""
FEW_ENTRIES = 16
"""Blocks of so few entries are checked entry by entry where directions say too little of them."""
LAST_RESORT = 256
"""Blocks of so few entries are checked entry by entry if the last search did not explain them."""


def screen(loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options) -> Outcome:
    """Look along the signs of the gradient and along random ones, and locate what is wrong."""
    expected = screen_evaluations(loss)
    with progress_bar(loss.run, "screen", expected) if options.progress else nullcontext():
        shown = loss
        if budget.allows(expected + EACH_UNIT * SOUGHT):
            loss = in_claimed_units(loss, claim.values)
        refuted = first_look(loss, claim, rule, budget, options.seed)
        looks = loss.measured.glimpse is None and budget.allows(POINTS.size)
        looks = looks and not may_be_rough(loss)
        loss, first = begun(loss, options.seed) if looks else (loss, None)
        if loss.units.given and not shown.units.given:
            refuted = first_look(loss, claim, rule, budget, options.seed)
        loss, rough = _noise_of(loss, claim, options.seed, first)
        if refuted is not None and not refuted.stands_out(loss.noise):
            refuted = None  # few digits, that the value alone does not tell of
        if refuted is not None and _is_lost(loss, claim, refuted, options.seed):
            refuted = None
        if rough:
            return _rough(loss, claim, rule, budget, (options.seed, refuted))
        search = _Search(loss, claim, rule, budget, options.seed)
        search.found.refuted = refuted
        search.spot.heard = refuted is not None and refuted.factor is not None
        try:
            found = search.run()
            found.overrule()
        except TurnsOutRoughError as error:
            return _rough(error.loss, claim, rule, budget, (options.seed, refuted))
        cost = _cost(loss, budget)
        if not found.complete and found.findings:
            cost = f"{_more(found, loss, budget, options)} {cost}"
    return outcome_of(found, merged(search.spot.judged), loss, cost)


def screen_together(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options
) -> Outcome:
    """What directions through the entries that may be perturbed say of them, if the loss is rough."""
    directions = Directions(loss.units.entry, _movable(loss, claim), options.seed)
    loss = with_noise(loss, claim, options.seed)
    return screen_rough(loss, claim, rule, budget, (directions, (), ""), " of these together")


def with_noise(loss: Loss, claim: Claim, seed: int) -> Loss:
    """A loss that is rough by its value or its noise, with the noise between near points."""
    directions = Directions(loss.units.entry, _movable(loss, claim), seed)
    return heard(loss, directions, rounding_of(loss) / abs(loss.value))


def _is_lost(loss: Loss, claim: Claim, refuted: Along, seed: int) -> bool:
    """Whether the loss turns within last places of theta along what a first look refuted."""
    if loss.run.structured or loss.noise <= UNSURPRISING * loss.measured.least:
        return False
    block = loss.layout.blocks[refuted.block]
    directions = Directions(loss.units.entry, _movable(loss, claim), seed)
    v = signs_of(directions, claim.values, block.start, block.stop)
    return is_lost(partial(loss.along, v), finest_offset(loss.theta, v), AWAY)


def _noise_of(loss: Loss, claim: Claim, seed: int, first: Floats | None) -> tuple[Loss, bool]:
    """The loss with its noise, and whether it is rough: a value of single precision says so at once."""
    directions = Directions(loss.units.entry, _movable(loss, claim), seed)
    finite = claim.is_finite
    if finite and not loss.measured.lines and may_be_rough(loss):
        near = heard(loss, directions, rounding_of(loss) / abs(loss.value))
        if is_rough(near) and near.measured.float32:
            return near, True
    if not loss.measured.lines:
        loss = studied(loss, seed, brief=True, first=first)
    if not (finite and is_rough(loss)):
        return loss, False
    return heard(loss, directions, loss.noise / max(abs(loss.value), loss.noise)), True


def _cost(loss: Loss, budget: Budget) -> str:
    return (
        f"A sweep of every entry would take {2 * loss.count:,} evaluations, about "
        f"{budget.sweep_seconds(loss.count):.2g} s."
    )


def _more(found: Found, loss: Loss, budget: Budget, options: Options) -> str:
    """The budget in which a search that the time ended comes to its end."""
    blocks = [loss.layout.blocks[b] for b in found.findings]
    most = screen_evaluations(loss) + ATTEMPTS * sum(map(most_evaluations, blocks))
    sweeps = EACH_ENTRY * loss.count
    if options.strategy == "auto" and most > sweeps:  # all entries are swept then
        most = MORE_IF_WRONG * sweeps
    return f"To its end it takes {most:,} evaluations at most: {would_do(most * budget.mean)}."


def _rough(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, known: tuple[int, Along | None]
) -> Outcome:
    """The outcome where the loss is rough, with what the first look refuted."""
    seed, refuted = known
    directions = Directions(loss.units.entry, _movable(loss, claim), seed)
    said = () if refuted is None else (sentence_of(refuted, loss.layout.blocks[refuted.block]),)
    outcome = screen_rough(loss, claim, rule, budget, (directions, said, _cost(loss, budget)))
    return outcome if refuted is None else with_refuted(outcome, refuted, loss.layout)


def refute(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options
) -> Outcome | None:
    """The outcome of a first look alone, where it refutes: there is no time for more."""
    along = first_look(loss, claim, rule, budget, options.seed)
    if along is None:
        return None
    if may_be_rough(loss):
        if not budget.allows(HEARD_EVALUATIONS):
            return None
        directions = Directions(loss.units.entry, _movable(loss, claim), options.seed)
        near = heard(loss, directions, rounding_of(loss) / abs(loss.value))
        if not along.stands_out(near.noise):
            return None
    found = Found(np.zeros(len(loss.layout.blocks)), [], refuted=along, complete=False)
    return outcome_of(
        found, None, loss, f"The budget of {budget.seconds:g} s does not allow a screen."
    )


def first_look(loss: Loss, claim: Claim, rule: Rule, budget: Budget, seed: int) -> Along | None:
    """The block that is grossly wrong along the signs of its gradient, if one is."""
    directions = Directions(loss.units.entry, _movable(loss, claim), seed)
    return FirstLook(loss, claim.finite(), rule, directions, budget.allows).refuted()


def _movable(loss: Loss, claim: Claim) -> Mask | None:
    """The entries that directions move: free ones of which the gradient is finite; None for all."""
    movable = loss.free
    if not claim.is_finite:
        finite = np.isfinite(claim.values)
        movable = finite if movable is None else finite & movable
    return None if movable is None or movable.all() else movable


class TurnsOutRoughError(Exception):
    """A loss that is smooth from near jumps from afar, as where a solver stops at a tolerance."""

    def __init__(self, loss: Loss):
        super().__init__()
        self.loss = loss


class _Search:
    """Screens a gradient under test and locates what is wrong with it."""

    def __init__(self, loss: Loss, claim: Claim, rule: Rule, budget: Budget, seed: int):
        self.loss, self.claim, self.budget = loss, claim, budget
        quantum = None if loss.lattice is None else loss.lattice.of_directions[0]
        self.directions = Directions(loss.units.entry, _movable(loss, claim), seed, quantum)
        mask, blocks = self.directions.mask, loss.layout.blocks
        counts = [
            b.size if mask is None else int(np.count_nonzero(mask[b.start : b.stop]))
            for b in blocks
        ]
        self.found = Found(
            block_rms(loss.layout, claim.values, loss.units.entry, loss.free), counts
        )
        self.residuals = Residuals(Lines(loss, claim.finite().values), claim, rule)
        self.spot = SpotChecks(self.residuals, budget, self.found.rms)

    def run(self) -> Found:
        """Screen, locate, certify, as far as the time allows."""
        try:
            if not self.claim.is_finite:
                self._look_at_not_finite(np.flatnonzero(~np.isfinite(self.claim.values)))
            self.residuals.claim = self.claim.finite()  # directions do not move the others
            self._screen()
        except OutOfBudgetError:
            self.found.complete = self.found.certified = False
            for finding in self.found.findings.values():
                finding.settle()
        return self.found

    def _screen(self) -> None:
        counts = self.found.counts
        if not any(counts):
            self.found.screen = Screen((), ((),) * len(counts))
            return
        screened = look(self.residuals, self.directions, counts, self.found.rms, self.budget.allows)
        if screened is None:
            raise OutOfBudgetError
        self.found.screen = screened
        if screened.alarms:
            readings = [*screened.readings, *(r for own in screened.blocks for r in own)]
            if not self.loss.run.structured and self._are_scattered(readings):
                self._listen_farther()
            self._locate(screened)
        for b in np.flatnonzero(counts).tolist():
            if b not in self.found.findings and self._says_too_little(b):
                self._look_closer(b)

    def _are_scattered(self, readings: list[Reading]) -> bool:
        """Whether all blocks alarm along everything, as nearly every slope of a staircase does."""
        return all(reading.alarms for reading in readings)

    def _listen_farther(self) -> None:
        """Change to the screen of rough losses, if this one jumps."""
        refuted = self.found.refuted is not None
        if refuted or not self.budget.allows(2 * HEARD_EVALUATIONS) or self.loss.run.structured:
            return
        directions = replace(self.directions)  # what one keeps for its lines is let go with it
        if jumps(self.loss, directions):
            far = heard(self.loss, directions, ROUGH_AFAR)
            if is_rough(far):
                raise TurnsOutRoughError(far)

    def _says_too_little(self, b: int) -> bool:
        """Whether a wrong entry that matters would be missed.

        That is one of the size of the others, or of a few in units of their own, each of its own size.
        """
        limit, size = entry_limit(self.found.readings_of(b)), self.found.rms[b]
        if norm_limit(self.found.readings) > USEFUL_NORM * self.found.norm(self.loss.layout):
            return True
        if not self.loss.units.one_unit[b] and self.found.counts[b] <= FEW_ENTRIES:
            block = self.loss.layout.blocks[b]
            part = slice(block.start, block.stop)
            effects = np.abs(self.residuals.claim.values[part]) * self.loss.units.entry[part]
            size = effects.min(initial=np.inf, where=self.directions.moves(block))
        return bool(limit > USEFUL_LIMIT * size)

    def _look_closer(self, b: int) -> None:
        """Look at a block of which directions say too little: it is near an optimum, or f is noisy."""
        block, v = self.loss.layout.blocks[b], block_stream(b, 0)
        if self.found.counts[b] <= FEW_ENTRIES and self.budget.allows(ALL_STAGES * FEW_ENTRIES):
            finding = self.found.findings.setdefault(b, Finding())
            Locator(self.spot, self.directions).search(block, v, finding, thorough=True)
        elif self.loss.units.unknown is not None or turns(self.loss, self.directions.seed):
            return  # what f does far off may be far further than where entries matter
        elif self.found.rms[b] <= entry_limit(self.found.readings_of(b)) and self.budget.allows():
            direction = self.directions.draw(v, block.start, block.stop)
            away = self.loss.along(direction, np.array([AWAY, -AWAY]))
            change = np.abs(away - self.loss.value)
            effect = np.max(change, where=np.isfinite(change), initial=0.0) / AWAY
            self.found.away[b] = float(effect) / float(np.sqrt(self.found.counts[b]))

    def _look_at_not_finite(self, bad: Indices) -> None:
        """Check some of the entries that are not finite, which are wrong whatever the loss says."""
        free = bad if self.loss.free is None else bad[self.loss.free[bad]]
        self.found.not_finite = free.size
        most = NOT_FINITE if self.budget.allows(ALL_STAGES * NOT_FINITE) else 1
        for block in self.loss.layout.blocks:
            inside = free[(block.start <= free) & (free < block.stop)]
            if inside.size:
                self.spot.judge(inside[:most])

    def _locate(self, screened: Screen) -> None:
        failing = screened.failing or [b for b, count in enumerate(self.found.counts) if count]
        for attempt in range(ATTEMPTS):
            for b in failing:
                self._search_block(b, attempt, screened.blocks[b][0] if attempt == 0 else None)
            if self._is_clean(attempt):
                return
            failing = [b for b in failing if self.found.findings[b].kind not in WHOLE_BLOCK]
        self.found.certified = False

    def _search_block(self, b: int, attempt: int, known: Reading | None) -> None:
        finding = self.found.findings.setdefault(b, Finding())
        block, stream = self.loss.layout.blocks[b], block_stream(b, attempt)
        thorough = attempt == ATTEMPTS - 1 and self.found.counts[b] <= LAST_RESORT
        if known is not None and not known.alarms:
            known = None
        refuted = self.found.refuted
        throughout = refuted is not None and refuted.block == b and refuted.factor is not None
        if attempt == 0 and not throughout and self._is_smeared(b, finding):
            return
        Locator(self.spot, self.directions).search(
            block, stream, finding, known, thorough, throughout
        )

    def _is_smeared(self, b: int, finding: Finding) -> bool:
        """Whether a projection spread the errors of few entries over a block; these are then told."""
        block = self.loss.layout.blocks[b]
        if chart_of(block) is None or not (moves := self.directions.moves(block)).all():
            return False
        rng = np.random.default_rng(self.directions.seed)
        suspects = Suspects(self.spot, block, moves, finding, rng)
        smear = Smear(self.spot, self.directions, block, lambda k: block_stream(b, HUNTING + k))
        told = smear.found(suspects)
        if told is not None:
            self.found.told.append(told)
            finding.kind = "entries"
        return told is not None

    def _is_clean(self, attempt: int) -> bool:
        """Are fresh directions through all that is not settled clean?"""
        self.found.fresh = []
        for k in range(GLOBAL):
            self.spot.require_time()
            v = self.directions.draw(FRESH + attempt * GLOBAL + k)
            for b, finding in self.found.findings.items():
                block = self.loss.layout.blocks[b]
                settled = len(finding.checked) >= self.found.counts[b]
                v[block.start : block.stop][settled | finding.blamed(block.shape)] = 0.0
            self.found.fresh.append(self.residuals.confirmed(v, FINER * self.residuals.lines.step))
            if self.found.fresh[-1].alarms:
                return False
        return True
