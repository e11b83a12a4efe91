"""Expressions over named values: read, checked and evaluated without running code.

The text is parsed by Python's own parser; every node must be one of the few kinds below.
"""

from __future__ import annotations

import ast
import dataclasses
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

NUMBER = "a number"
TEXT = "text"
_MOST_CHARACTERS = 2000
_MOST_NODES = 300
_DEEPEST = 40
_TRUTHS = {"true": True, "false": False}

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


class ExpressionError(Exception):
    """An expression that cannot be read, with a mark under the place."""


@dataclasses.dataclass(frozen=True)
class Expression:
    """An expression that has been read.

    Attributes:
      text: as it was written.
      tree: its syntax.
    """

    text: str
    tree: ast.expr

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Reads an expression.

        Raises:
          ExpressionError: it is no expression, or too long.
        """
        text = re.sub(r"\s*\n\s*", " ", text.strip())
        if len(text) > _MOST_CHARACTERS:
            raise ExpressionError(f"at most {_MOST_CHARACTERS} characters, found {len(text)}")
        try:
            tree = ast.parse(text, mode="eval").body
        except SyntaxError as error:
            raise _at(text, (error.offset or 1) - 1, error.msg or "cannot be read") from error
        except (ValueError, RecursionError, MemoryError) as error:
            raise ExpressionError(f"cannot be read: {error or 'nested too deeply'}") from error
        expression = cls(text, tree)
        if sum(1 for _ in ast.walk(tree)) > _MOST_NODES or _depth(tree) > _DEEPEST:
            raise ExpressionError("it is too long or nested too deeply")
        expression._kind(tree, None)
        return expression

    @property
    def names(self) -> frozenset[str]:
        """The names whose values it needs."""
        names = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}
        return frozenset(names - set(_TRUTHS))

    def check(self, kinds: Mapping[str, str]) -> None:
        """Checks that it is a truth value for values of these kinds.

        Args:
          kinds: NUMBER or TEXT by name; truth values are numbers.

        Raises:
          ExpressionError: an unknown name, or kinds that do not go together.
        """
        self._expect(NUMBER, self.tree, kinds, "the whole must be true or false")

    def value(self, values: Mapping[str, Any]) -> Any:
        """Its value; raises ArithmeticError, such as for a division by zero."""
        return _value(self.tree, values)

    def _expect(self, kind: str, node: ast.expr, kinds: Mapping[str, str] | None, why: str) -> None:
        found = self._kind(node, kinds)
        if found not in (kind, None):
            raise self._error(node, f"{why}; this is {found}")

    def _kind(self, node: ast.expr, kinds: Mapping[str, str] | None) -> str | None:
        """NUMBER or TEXT; None where only the names' kinds, not given, would tell."""
        match node:
            case ast.Constant(value=bool() | int() | float()):
                return NUMBER
            case ast.Constant(value=str()):
                return TEXT
            case ast.Name(id=name):
                if name in _TRUTHS:
                    return NUMBER
                if kinds is not None and name not in kinds:
                    raise self._error(node, f"no {name!r} is known; known are {', '.join(kinds)}")
                return kinds[name] if kinds is not None else None
            case ast.BoolOp(values=parts):
                for part in parts:
                    self._expect(NUMBER, part, kinds, "`and` and `or` take truth values")
                return NUMBER
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                self._expect(NUMBER, operand, kinds, "this needs a number or a truth value")
                return NUMBER
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                for part in (left, right):
                    self._expect(NUMBER, part, kinds, "arithmetic needs numbers")
                return NUMBER
            case ast.Compare():
                self._check_comparison(node, kinds)
                return NUMBER
        raise self._error(node, f"{_called(node)} cannot stand here")

    def _check_comparison(self, node: ast.Compare, kinds: Mapping[str, str] | None) -> None:
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            if type(op) not in _COMPARISONS:
                raise self._error(right, "compare with == != < <= > >= in, not in")
            kind = self._kind(left, kinds)
            if isinstance(op, (ast.In, ast.NotIn)):
                self._check_membership(kind, right, kinds)
            elif kind is None:
                self._kind(right, kinds)
            else:
                self._expect(kind, right, kinds, f"it is compared with {kind}")
            left = right

    def _check_membership(
        self, kind: str | None, right: ast.expr, kinds: Mapping[str, str] | None
    ) -> None:
        if isinstance(right, (ast.Tuple, ast.List)):
            for item in right.elts:
                found = self._kind(item, kinds)
                if None not in (kind, found) and found != kind:
                    raise self._error(item, f"{kind} is looked for here; this is {found}")
            return
        self._expect(TEXT, right, kinds, "`in` needs a list such as ('a', 'b'), or text")
        if kind == NUMBER:
            raise self._error(right, "a number cannot be in text")

    def _error(self, node: ast.expr, message: str) -> ExpressionError:
        offset = len(self.text.encode()[: node.col_offset].decode(errors="replace"))
        return _at(self.text, offset, message)


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return _TRUTHS[name] if name in _TRUTHS else values[name]
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return [_value(item, values) for item in items]
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_value(part, values) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_value(part, values) for part in parts)
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_value(operand, values))
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)](_value(left, values), _value(right, values))
    assert isinstance(node, ast.Compare)  # `_kind` lets nothing else through
    left = _value(node.left, values)
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        right = _value(comparator, values)
        if not _COMPARISONS[type(op)](left, right):
            return False
        left = right
    return True


def _depth(tree: ast.AST) -> int:
    depth, layer = 0, [tree]
    while layer:
        depth, layer = depth + 1, [child for node in layer for child in ast.iter_child_nodes(node)]
    return depth


def _called(node: ast.AST) -> str:
    names = {ast.Call: "a call", ast.Attribute: "a dot", ast.Subscript: "an index"}
    return names.get(type(node), f"{type(node).__name__.lower()}")


def _at(text: str, offset: int, message: str) -> ExpressionError:
    return ExpressionError(f"{message}\n  {text}\n  {' ' * min(offset, len(text))}^")
