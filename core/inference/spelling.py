"""Words as they are typed: British and American forms, abbreviations, slips of the finger, all made one."""

import re
from collections.abc import Mapping
from functools import cache

_LEXICON_WORDS = (
    "abdomen abdominal above absent airflow alpha amplitude another apnea apneas arousal arousals artefact "
    "artefacts asleep atonia average awake awakening awakenings beats before below beta between bradycardia "
    "bradypnoea breath breathes breathing breaths central cessation chest confidence cortical decubitus deepest "
    "delta desaturate desaturates desaturating desaturation desaturations detached disconnected dreaming drowsiness "
    "drowsy duration during efficiency effort efforts epoch epochs event events exceeding exceeds except excluding "
    "fewer flattening frequency greater heart higher hours hypopnea hypopneas hypoxaemia hypoxia increases index "
    "intermediate lasting latency lateral left leg less light limb longer longest lower lowest lying maximum mean "
    "median midnight minimum minutes mixed morning movement movements muscle nadir neither night obstructive "
    "oximeter oximetry oxygen paradoxical pauses percent periodic position positions probability prolonged prone "
    "pulse quarter rapid rate rates recording relative respiration respiratory right saturation saturations second "
    "seconds shorter signal sitting sleep sleeping slower spindle spindles stable stage stages stomach submental "
    "supine tachycardia tachypnoea theta third thoracic thorax tone transition transitional under upright "
    "variability wake wakefulness wave waves while without"
)
LEXICON = frozenset(_LEXICON_WORDS.split())
"""Words that the tables of questions are made of, in the form that a question is read in."""
_ORDINARY_WORDS = (
    "about after again assent aware bathe bathed beach beams bears beats bends breach bread breadth breathe bright "
    "case cases centre clear close common deep deeper drop drops early efficient eight eighty ends every excerpt "
    "extending eyes falls fast faster first flat four free frequently from heard hearing hears heat increased into "
    "know last late later lead leads legs let lie lies like list literal logger lung lungs made many marked marks "
    "men might moving muscles near never next nights noise obstructed obstruction obstructions onset open over part "
    "parts pass passes phase phone plain portability positional prove pulses raised rates rather ration reach reached "
    "regarding reporting rise rises sage scored scoring setting seven shallow should show shown side sides sign "
    "signs since situation situations slept slow small snores snoring some soon spike spikes stare start starts "
    "state states stay stays steady stops strong such tense their them then there these those three time times "
    "toned traditional translation turned twenty until very wakes waking want was weak well were white whole wife "
    "with within wore work wrong yes"
)
ORDINARY = frozenset(_ORDINARY_WORDS.split())
"""Words a letter away from one of `LEXICON` that are no slips."""

ABBREVIATIONS: Mapping[str, str] = {
    **{"oa": "obstructive apnea", "oas": "obstructive apneas", "osa": "obstructive apnea"},
    **{"ca": "central apnea", "cas": "central apneas", "csa": "central apnea", "ma": "mixed apnea"},
    **{"oh": "hypopnea", "hyp": "hypopnea", "hypop": "hypopnea", "hypops": "hypopneas", "ah": "apnea or hypopnea"},
    **{"sdb": "sleep disordered breathing", "lm": "limb movement", "lms": "limb movements"},
    **{
        "desat": "desaturation",
        "desats": "desaturations",
        "rr": "respiratory rate",
        "resp": "respiratory",
        "waso": "wake after sleep onset",
    },
    **{"pos": "position", "bmp": "bpm", "pct": "percent", "w/o": "without", "w/": "with", "&": "and"},
    **{"avg": "average", "approx": "approximately"},
}
"""Abbreviations of scoring sheets, and what they stand for; longer ones are in the tables of `vocabulary`."""

_FORMS = (
    (re.compile(r"\bstages? ([1-4]|one|two|three) (?:and|or|/|&) ([1-4]|one|two|three)\b"), r"stage \1 or stage \2"),
    (re.compile(r"\b(hypo|a)pn(?:o?e|i)(?:a|ae)(s?)\b"), r"\1pnea\2"),
    (re.compile(r"\b(hypo|a)pno?e?ic\b"), r"\1pneic"),
    (re.compile(r"\b(tachy|brady|eu)pnea\b"), r"\1pnoea"),
    (re.compile(r"\bhypox(?:a?e)mi(a|c)\b"), r"hypoxaemi\1"),
    (re.compile(r"\bartifact"), "artefact"),
    (re.compile(r"\ba ?/ ?h\b"), "ah"),
    (re.compile(r"\b(?:haven't|hasn't|don't|doesn't|didn't|wasn't|weren't|isn't|aren't|won't|cannot|can't)\b"), "not"),
    (re.compile(r"\b(?:does|do|did|has|have|is|are|was|were|will|would|should) not\b"), "not"),
    (re.compile(r"\b(?!of\b)([a-z]+)[- ]free\b(?! of| from)"), r"no \1"),
)
"""British and American endings, and other forms of one word."""
_WORD = re.compile(r"(?<![\w/%-])(?:w/o?|&|[a-z]+)(?![\w/])")


def spelled(text: str) -> str:
    """Give a lower-case sentence in the spelling that the tables have.

    A word that the tables do not know becomes the one that is a slip away: one letter changed, added, left out or two
    swapped; two slips in a word of ten letters and more. Of a word below five letters only one may be missing.
    """
    for pattern, form in _FORMS:
        text = pattern.sub(form, text)
    return _WORD.sub(lambda match: _word(match[0]), text)


@cache
def _word(word: str) -> str:
    if word in ABBREVIATIONS:
        return ABBREVIATIONS[word]
    if word in LEXICON or word in ORDINARY:
        return word
    slips = 2 if len(word) >= 10 else 1
    near = [(_slips(word, known), known) for known in LEXICON if _may_be(word, known)]
    best = min(near, default=(9, ""))
    return best[1] if best[0] <= slips else word


def _may_be(word: str, known: str) -> bool:
    """Whether a slip is likely at all: no mere ending, the first letter stands; of a short word one was left out."""
    if len(word) < 3 or known.startswith(word) or word.startswith(known):
        return False
    if len(word) < 5:
        return len(known) == len(word) + 1 and (word[0], word[-1]) == (known[0], known[-1])
    swapped = word[:2] == known[1::-1] or word[1:] == known
    return len(known) >= 4 and abs(len(word) - len(known)) <= 2 and (word[0] == known[0] or swapped)


def _slips(word: str, known: str) -> int:
    """Letters changed, added, left out, or neighbours swapped (Damerau 1964, optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(known) + 1))
    for i, letter in enumerate(word, 1):
        older, before, row = before, row, [i]
        for j, other in enumerate(known, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == known[j - 2] and word[i - 2] == other:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]
