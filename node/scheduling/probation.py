"""How much a source is trusted with. Pure; whoever owns it locks.

A source that has not given a verified piece yet is *new*: it is handed one piece, whole, and no more until
that one is verified. So one that sends wrong bytes spoils one piece, and nobody else's bytes are mixed with
its own. Once a piece of it is right it gets whatever there is. It costs an honest source one round trip and
the hashing of one piece, once in a download. The *sole* owner that is known need not wait for that: nobody
could deliver instead, and on a path of long round trips the wait would end the growth of its window.

A piece that several sources delivered and that was wrong (``blame``) is handed out whole as well, to a
*witness*: a source that delivered none of it. Until it is right, or until the witness took too long, those
who delivered it wait, and then they are new again. If one of them delivers it after all, nobody helps while
it gets on: its own bytes shall judge it. Both kinds of piece are *trials*.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from common.geometry import Geometry
from common.ranges import RangeSet
from node.peer import Peer

Span: TypeAlias = tuple[int, int]

Restart: TypeAlias = Callable[[int], Iterable[Span]]

TRIAL_SECONDS = 2.0  # for which nobody else helps with a piece that one shall deliver whole
STALLED = 4.0  # seconds without progress, after which a suspect takes a piece over, or anybody a suspect's
MAX_TAKEOVERS = 4  # that double both times
LONGEST_TRIAL = 30.0  # seconds after which one does in any case; both doubled for each time that one did


class Work(Protocol):
    """Who fetches which bytes (``plan.Work``), as far as probation must know it."""

    def take(self, source: Peer, limit: int) -> Span | None:
        """At most ``limit`` bytes for ``source``; None if it finds none."""
        ...

    def refill(self, source: Peer) -> bool:
        """Whether ``take`` would find some."""
        ...

    def claim(self, start: int, end: int) -> Iterable[Span]:
        """Take out what nobody was asked for yet of ``[start, end)``, whoever it was meant for."""
        ...

    def give_back(self, spans: Iterable[Span]) -> None:
        """These are free for anybody."""
        ...

    def holds(self, source: Peer, piece: int) -> bool:
        """Whether ``source`` has ``piece`` to give, as far as it has told."""
        ...


@dataclass
class Trial:
    """One piece that one source shall deliver whole."""

    piece: int
    todo: RangeSet  # of it, not asked for yet
    helped_from: float  # when others may help, monotonic seconds
    holder: Peer | None = None
    suspects: Collection[Peer] = ()  # who delivered it wrongly together; they pause until ``helped_from``
    suspects_from: float = 0.0  # when even they may take it over, or others theirs: later while it gets on
    ends_at: float = 0.0  # but not later than this
    begun_by: Peer | None = None  # who held it first of those whose bytes are here
    takeovers: int = 0

    def gets_on(self, now: float) -> None:
        """Its holder begins, or has delivered some. To be asked is nothing: who has none is asked as well."""
        stalled_at = now + STALLED * 2**self.takeovers
        self.suspects_from = max(self.suspects_from, min(stalled_at, self.ends_at))

    def judges(self, now: float) -> bool:
        """Whether a suspect delivers it and gets on: all its bytes shall be that one's, to convict or clear
        it, so nobody helps.
        """
        return self.begun_by in self.suspects and now < self.suspects_from


class Probation:
    """Stands before ``work`` and lets each source take what it is trusted with."""

    def __init__(self, geometry: Geometry, work: Work, restart: Restart = lambda piece: ()) -> None:
        """``restart(piece)`` throws away what has come of it, and says which bytes that was."""
        self._restart = restart
        self._geometry = geometry
        self._work = work
        self._trusted: set[Peer] = set()
        self.sole: Peer | None = None  # the only owner there is to ask
        self._trials: dict[int, Trial] = {}  # by piece: one for each new source, one for each open case
        self._piece: dict[Peer, int] = {}  # the one that a new source is busy with

    def trusts(self, source: Peer) -> bool:
        """Whether a piece of ``source`` was verified, and nothing speaks against it."""
        return source in self._trusted

    def waiting(self, now: float) -> bool:
        """Whether time alone will let somebody take more."""
        return any(
            trial.helped_from > now or (trial.suspects and trial.suspects_from > now)
            for trial in self._trials.values()
        )

    def suspects(self, sources: Collection[Peer]) -> int:
        """How many of ``sources`` delivered a piece together that was wrong, and has not come right yet."""
        return sum(self._suspected(source) for source in sources)

    # ---- taking

    def take(self, source: Peer, limit: int, now: float) -> Span | None:
        """At most ``limit`` bytes for ``source`` to be asked for now; None if there are none for it."""
        if not self._trials and source in self._trusted:  # nearly always
            return self._work.take(source, limit)
        trial = self._trial_for(source, now)
        if trial is None and self._free(source, now):
            span = self._work.take(source, limit)
            if span is not None:
                return span
            trial = self._in_need(source, now)
        return trial.todo.take_first(limit) if trial is not None else None

    def refill(self, source: Peer, now: float) -> bool:
        """Whether ``take`` would find some."""
        if self._trial_for(source, now) is not None:
            return True
        if not self._free(source, now):
            return False
        return self._work.refill(source) or self._in_need(source, now) is not None

    def may_double(self, source: Peer, piece: int, now: float) -> bool:
        """Whether ``source`` may be asked for bytes of ``piece`` that another one was asked for, too."""
        trial = self._trials.get(piece)
        if trial is not None and (
            trial.judges(now) or (source in trial.suspects and now < trial.suspects_from)
        ):
            return False
        known = source in self._trusted or self._piece.get(source, piece) == piece
        return known and not self._paused(source, now)

    def doubled(self, source: Peer, piece: int, now: float) -> None:
        """``source`` was asked for bytes of ``piece`` that another one was asked for, too."""
        if source not in self._trusted:
            self._piece[source] = piece
            self._trials.setdefault(piece, Trial(piece, RangeSet(), now))

    def _free(self, source: Peer, now: float) -> bool:
        return (source in self._trusted or source == self.sole) and not self._paused(source, now)

    def _paused(self, source: Peer, now: float) -> bool:
        return any(now < trial.helped_from and source in trial.suspects for trial in self._trials.values())

    def _trial_for(self, source: Peer, now: float) -> Trial | None:
        """The trial, with something to do, that comes before everything else for ``source``."""
        self._look_what_it_holds(source)
        own = self._trials.get(self._piece.get(source, -1))
        if own is not None:  # it is new, and busy with this one: nothing else is for it
            may = own.holder in (None, source) or now >= own.helped_from
            judges = own.begun_by != source and own.judges(now)  # a suspect has taken it over meanwhile
            return own if own.todo and may and not judges else None
        paused = self._paused(source, now)
        for trial in self._trials.values():
            if (trial.holder == source and trial.todo) or (not paused and self._may_hold(source, trial, now)):
                self._hold(source, trial, now)
                return self._busy(source, trial)
        if paused or source in self._trusted:
            return None
        return self._begin(source, now)

    def _may_hold(self, source: Peer, trial: Trial, now: float) -> bool:
        """Whether ``source`` may become the holder of ``trial``."""
        if not self._work.holds(source, trial.piece):
            return False
        if source not in trial.suspects:
            if trial.begun_by in trial.suspects:  # it may come again, and have lost nothing
                return not trial.judges(now)
            return trial.holder is None and bool(trial.todo)
        if trial.begun_by in (None, source) and trial.holder is None:
            return now >= trial.helped_from and bool(trial.todo)
        return now >= trial.suspects_from

    def _hold(self, source: Peer, trial: Trial, now: float) -> None:
        """``source`` delivers it from now on: a suspect all of it, so that its own bytes judge it."""
        before, trial.holder = trial.begun_by, source
        if before is None:
            trial.begun_by = source
            trial.gets_on(now)
        elif before != source and (before in trial.suspects or source in trial.suspects):
            for span in self._restart(trial.piece):
                trial.todo.add(*span)
            trial.begun_by = source
            trial.takeovers = min(trial.takeovers + 1, MAX_TAKEOVERS)
            trial.suspects_from = now + STALLED * 2**trial.takeovers
            trial.ends_at = now + LONGEST_TRIAL * 2**trial.takeovers

    def _begin(self, source: Peer, now: float) -> Trial | None:
        """The first piece of a new source; if there is none, it helps with one."""
        first = self._work.take(source, 1)
        if first is None:
            in_need = self._in_need(source, now)
            return self._busy(source, in_need) if in_need is not None else None
        piece = first[0] // self._geometry.piece_length
        trial = self._trials.setdefault(piece, Trial(piece, RangeSet(), now + TRIAL_SECONDS, source))
        for span in (first, *self._work.claim(*self._geometry.piece_range(piece))):
            trial.todo.add(*span)
        return self._busy(source, trial)

    def _in_need(self, source: Peer, now: float) -> Trial | None:
        """A trial that takes long, for who has nothing else to do."""
        for trial in self._trials.values():
            late = now >= trial.helped_from and not trial.judges(now)
            if trial.todo and late and source not in trial.suspects and self._work.holds(source, trial.piece):
                return trial
        return None

    def _busy(self, source: Peer, trial: Trial) -> Trial:
        if source not in self._trusted:
            self._piece[source] = trial.piece
        return trial

    # ---- what became of it

    def arrived(self, source: Peer, start: int, now: float) -> None:
        """``source`` delivered bytes from ``start`` on."""
        trial = self._trials.get(start // self._geometry.piece_length)
        if trial is not None and trial.holder == source:
            trial.gets_on(now)

    def give_back(self, spans: Iterable[Span]) -> None:
        """Ranges that were taken and will not come from whoever took them."""
        if not self._trials:
            self._work.give_back(spans)
            return
        length = self._geometry.piece_length
        for start, end in spans:
            for piece in range(start // length, -(-end // length)):
                part = (max(start, piece * length), min(end, (piece + 1) * length))
                trial = self._trials.get(piece)
                if trial is not None:
                    trial.todo.add(*part)
                    if trial.holder is None:
                        self._let_go(trial)
                else:
                    self._work.give_back([part])

    def leave(self, source: Peer) -> None:
        """``source`` works no more; others shall finish its trials."""
        self._piece.pop(source, None)
        for trial in self._trials.values():
            if trial.holder == source:
                self._let_go(trial)

    def _let_go(self, trial: Trial) -> None:
        """Its holder does not go on with it; if nothing of it has come, it is as if nobody had begun."""
        trial.holder = None
        if trial.todo.total == self._geometry.piece_length_of(trial.piece):
            trial.begun_by = None

    def _look_what_it_holds(self, source: Peer) -> None:
        """A piece that ``source`` does not have after all is for others, and it may try another one."""
        for trial in self._trials.values():
            mine = trial.holder == source or self._piece.get(source) == trial.piece
            if mine and not self._work.holds(source, trial.piece):
                self._piece.pop(source, None)
                if trial.holder == source:
                    self._let_go(trial)

    def right(self, piece: int, deliverers: Iterable[Peer]) -> bool:
        """``piece`` is verified, and ``deliverers`` are no more new; whether anybody may take more now."""
        closed = self._trials.pop(piece, None)
        if closed is not None:
            self._forget(piece)
        before = len(self._trusted)
        self._trusted.update(source for source in deliverers if not self._suspected(source))
        return closed is not None or len(self._trusted) > before

    def wrong(
        self, piece: int, suspects: Collection[Peer], witness: bool, now: float, attempts: int = 1
    ) -> None:
        """``piece`` is to be fetched again. ``suspects`` delivered it together, or are none if one did alone.

        ``witness``: another owner may be found that can deliver it; so there is something to wait for.
        ``attempts``: how often it was delivered by several, and was wrong.
        """
        self._trials.pop(piece, None)
        self._forget(piece)
        whole = self._geometry.piece_range(piece)
        if not suspects:
            self._work.give_back([whole])
            return
        self._trusted.difference_update(suspects)
        helped_from = now + TRIAL_SECONDS if witness else now
        suspects_from, ends_at = now + STALLED, now + LONGEST_TRIAL * 2 ** min(attempts - 1, MAX_TAKEOVERS)
        self._trials[piece] = Trial(
            piece, RangeSet([whole]), helped_from, None, suspects, suspects_from, ends_at
        )

    def distrust(self, source: Peer) -> None:
        """``source`` is new again, should it come again."""
        self._trusted.discard(source)
        self.leave(source)

    def _suspected(self, source: Peer) -> bool:
        return any(source in trial.suspects for trial in self._trials.values())

    def _forget(self, piece: int) -> None:
        for source in [source for source, at in self._piece.items() if at == piece]:
            del self._piece[source]
