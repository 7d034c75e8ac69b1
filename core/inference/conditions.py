"""What every hit of a question meets: conditions on columns, as people read them and as SQL."""

from dataclasses import dataclass

from core.inference.epoch_table import COLUMNS, FLAG, TEXT
from core.psg.scoring import UNSCORED

RELATIONS = ("=", "!=", "<", "<=", ">", ">=")
FLAG_PREFIX = "has_"


@dataclass(frozen=True)
class Condition:
    """A column compared with a value."""

    column: str
    """One of `core.inference.epoch_table.COLUMNS`."""
    relation: str
    """One of `RELATIONS`; for a flag `=` (there) or `!=` (not there)."""
    value: float | str | bool
    """In the column's unit; True for a flag."""

    def __str__(self) -> str:
        if self.column.startswith(FLAG_PREFIX):
            return f"{'with' if self.relation == '=' else 'no'} {self.column.removeprefix(FLAG_PREFIX)}"
        if self.column == "clock":
            return f"clock {self.relation} {str(self.value).removesuffix(':00')}"
        shown = f"{self.value:g}" if isinstance(self.value, float) else self.value
        return f"{self.column} {self.relation} {shown}"

    @property
    def sql(self) -> str:
        """The condition as SQL; an epoch whose value is not known does not meet it."""
        if COLUMNS[self.column] == FLAG:
            return f"{self.column} = {'TRUE' if self.relation == '=' else 'FALSE'}"
        if COLUMNS[self.column] == TEXT:
            compared = f"{quoted_name(self.column)} {self.relation} {quoted(str(self.value))}"
            if self.column == "stage" and self.relation == "!=":
                return f"({compared} AND stage != '{UNSCORED}')"
            return compared
        return f"{quoted_name(self.column)} {self.relation} {float(self.value)!r}"

    def opposite(self) -> "Condition":
        """The condition that an epoch with a known value meets when it does not meet this one."""
        pairs = {"=": "!=", "<": ">=", ">": "<="}
        other = pairs | {there: here for here, there in pairs.items()}
        return Condition(self.column, other[self.relation], self.value)


@dataclass(frozen=True)
class Clause:
    """Conditions or clauses of which one is enough, or of which each is asked."""

    parts: "tuple[Condition | Clause, ...]"
    """At least one."""
    all_of: bool = False
    """Whether each of them is asked: `clock >= 02:00 and clock < 04:00`."""

    def __str__(self) -> str:
        return (" and " if self.all_of else " or ").join(_within(part, str(part)) for part in self.parts)

    @property
    def sql(self) -> str:
        """The clause as SQL, in brackets where it has several parts."""
        text = (" AND " if self.all_of else " OR ").join(part.sql for part in self.parts)
        return f"({text})" if len(self.parts) > 1 else text

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it looks at, in order."""
        return tuple(c for part in self.parts for c in (part.columns if isinstance(part, Clause) else (part.column,)))

    def opposite(self) -> "Clause":
        """What an epoch with known values meets when it does not meet this."""
        return Clause(tuple(part.opposite() for part in self.parts), not self.all_of)


def one_of(clauses: "tuple[Clause, ...]") -> Clause:
    """A clause that one of several is enough for."""
    parts = (part for clause in clauses for part in (clause.parts if _is_flat(clause) else (clause,)))
    return Clause(tuple(dict.fromkeys(parts)))


def _is_flat(clause: Clause) -> bool:
    return not clause.all_of or len(clause.parts) == 1


def _within(part: "Condition | Clause", text: str) -> str:
    return f"({text})" if isinstance(part, Clause) and len(part.parts) > 1 else text


@dataclass(frozen=True)
class Question:
    """What was understood of a sentence."""

    text: str
    """The sentence as it was asked."""
    clauses: tuple[Clause, ...] = ()
    """What every hit meets: each of them."""
    rest: str = ""
    """What was not understood as a condition: it ranks. Empty where everything was: then the clearest come first."""
    events: tuple[str, ...] = ()
    """Event types that it wants: hits point at them."""

    def __str__(self) -> str:
        several = len(self.clauses) > 1
        named = [f"({clause})" if several and not clause.all_of and len(clause.parts) > 1 else str(clause)
                 for clause in self.clauses]  # fmt: skip
        alone = "the clearest first" if self.clauses else "ranked by the whole question"
        ranked = f'ranked by "{self.rest}"' if self.rest else alone if self.text else ""
        return ", ".join(part for part in (" and ".join(named), ranked) if part)

    @property
    def sql(self) -> str:
        """The filter as SQL; empty where there is none."""
        return " AND ".join(clause.sql for clause in self.clauses)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the conditions look at, each once."""
        return tuple(dict.fromkeys(c for clause in self.clauses for c in clause.columns))


def quoted_name(column: str) -> str:
    """A column's name as SQL: in back quotes where it has capitals, which some dialects would fold."""
    return column if column == column.lower() else f"`{column}`"


def quoted(text: str) -> str:
    """A text as SQL."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
