"""The equation language: trees, parser, dimension checks, calculus and printers."""

from neurosim.expressions.calculus import affine, derivative, differentiate
from neurosim.expressions.dimensions import dimension_of
from neurosim.expressions.evaluate import compiled, evaluate
from neurosim.expressions.kinds import check_kinds
from neurosim.expressions.parser import (
    Equation,
    Statement,
    parse_equations,
    parse_expression,
    parse_statements,
)
from neurosim.expressions.printer import Printer
from neurosim.expressions.tree import Expression, Symbol, substitute, symbols

__all__ = [
    "Equation",
    "Expression",
    "Printer",
    "Statement",
    "Symbol",
    "affine",
    "check_kinds",
    "compiled",
    "derivative",
    "differentiate",
    "dimension_of",
    "evaluate",
    "parse_equations",
    "parse_expression",
    "parse_statements",
    "substitute",
    "symbols",
]
