"""What a law says of a block."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """A law that fits every sample of a case.

    ``words`` are from the vocabulary, ``clause`` completes "<block>: ", ``complexity`` counts what
    the law is made of.
    """

    words: tuple[str, ...]
    constants: dict[str, float]
    clause: str
    complexity: int = 1

    law: str = field(init=False)
    """The words as one."""
    is_lawless: bool = field(init=False)
    """Whether it says of some entries only that they are wrong."""

    def __post_init__(self) -> None:
        lawless = any(word.startswith("wrong-") for word in self.words)
        vars(self).update(law="+".join(self.words), is_lawless=lawless)
