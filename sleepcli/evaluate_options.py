"""The options of `sleepcli evaluate`."""

from typing import Annotated

import typer

from sleepcli import options

TASKS = ("staging", "events", "retrieval", "few-shot", "captions", "localisation", "concepts")
Model = Annotated[str, typer.Argument(metavar="MODEL", help="Model bundle, by name or folder.")]
Tasks = Annotated[str, typer.Option("--tasks", metavar="NAMES", help=f"Of {','.join(TASKS)}.")]
Pool = Annotated[int, typer.Option("--pool", min=2, help="Epochs that retrieval looks among.")]
SubjectSeparator = Annotated[
    str, typer.Option("--subject-separator", help="A study's subject is its name up to this; empty: the name.")
]
Form = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="png|svg|pdf",
        autocompletion=options.one_of("png", "svg", "pdf"),
        help="Of the pictures that --out writes.",
    ),
]
BertScore = Annotated[
    str,
    typer.Option("--bertscore", metavar="NAME|DIR", help="Model of BERTScore on this disk; nothing is downloaded."),
]
