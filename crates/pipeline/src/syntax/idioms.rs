//! What Spark SQL writes in a way of its own, as calls and operators that the planner knows: `~`, `RLIKE`, `nullif`, `nvl2`, texts
//! and times where a date is expected, arguments in another order. What the planner has no form for is refused.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Spanned, TimezoneInfo, UnaryOperator, Value, ValueWithSpan,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::rewrite::is_named;

/// Functions that only exist here.
pub(crate) const REWRITTEN: [&str; 2] = ["from_unixtime", "unix_timestamp"];

/// Functions whose first argument is a DATE; Spark makes one of a TIMESTAMP or a STRING.
const OF_A_DATE: [&str; 8] = ["add_months", "date_add", "date_sub", "dateadd", "last_day", "next_day", "trunc", "unix_date"];

/// Functions whose first argument is a TIMESTAMP; Spark makes one of a DATE or a STRING.
const OF_A_TIME: [&str; 3] = ["hour", "minute", "second"];

/// Functions with OVER that count rows: an INT in Spark, a BIGINT to the planner.
const RANKS: [&str; 4] = ["dense_rank", "ntile", "rank", "row_number"];

/// What the planner has no form for, and what to write instead.
pub(super) type Refused = (&'static str, &'static str);

/// Rewrites one expression whose parts are rewritten already.
pub(super) fn rewrite(expr: &mut Expr) -> Result<(), Refused> {
    match expr {
        Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr: inner } => *expr = call("bitwise_not", vec![take(inner)]),
        Expr::RLike { negated, expr: text, pattern, .. } => {
            let matches = call("regexp_like", vec![take(text), take(pattern)]);
            *expr = if *negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(matches) } } else { matches };
        }
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            if let Some(escape) = escape_char.take() {
                escape_by_backslash(pattern, &escape.value)?;
            }
        }
        Expr::Case { operand, conditions, .. } => {
            // A simple CASE compares as `=` does: zero has no sign.
            if let Some(operand) = operand.take() {
                for when in conditions {
                    let condition = take(&mut when.condition);
                    when.condition = Expr::BinaryOp { left: operand.clone(), op: BinaryOperator::Eq, right: Box::new(condition) };
                }
            }
        }
        Expr::Extract { field: DateTimeField::Second | DateTimeField::Seconds, .. } => return Err(WHOLE_SECONDS),
        Expr::Function(function) if function.over.is_some() && RANKS.iter().any(|name| is_named(function, name)) => {
            let rank = take(expr);
            *expr = cast(rank, DataType::Int(None));
        }
        Expr::Function(function) => {
            refuse(function)?;
            if let Some(other) = rewritten_call(function) {
                *expr = other;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Spark's seconds have a fraction, the planner's have none.
const WHOLE_SECONDS: Refused = ("SECOND with its fraction is not supported yet", "write second(ts) for the whole second");

fn refuse(function: &mut Function) -> Result<(), Refused> {
    let count = arguments(function).map_or(0, |arguments| arguments.len());
    // A text as the fourth argument is a flag of the planner's, which Spark doesn't have.
    let flag = |argument: &FunctionArg| {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) = argument else { return false };
        matches!(value.value, Value::SingleQuotedString(_))
    };
    let begins = arguments(function).and_then(|arguments| arguments.get(3)).is_some_and(|argument| !flag(argument));
    if (is_named(function, "regexp_replace") && begins) || (is_named(function, "position") && count > 2) {
        return Err(("a position to begin at is not supported yet", "cut the text with substring() first"));
    }
    if (is_named(function, "date_part") || is_named(function, "datepart"))
        && let Some([Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(part), .. }), _]) = plain::<2>(function)
        && ["S", "SEC", "SECOND", "SECONDS", "SECS"].contains(&part.to_uppercase().as_str())
    {
        return Err(WHOLE_SECONDS);
    }
    Ok(())
}

/// A pattern that is escaped by another letter, escaped by a backslash.
fn escape_by_backslash(pattern: &mut Expr, escape: &Value) -> Result<(), Refused> {
    let (Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }), Value::SingleQuotedString(escape)) = (pattern, escape)
    else {
        return Err(("ESCAPE needs a constant pattern", "escape by a backslash"));
    };
    let mut escaped = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if escape.starts_with(letter) {
            escaped.push('\\');
            escaped.extend(letters.next());
        } else {
            escaped.extend((letter == '\\').then_some('\\'));
            escaped.push(letter);
        }
    }
    *text = escaped;
    Ok(())
}

/// What a call becomes, where it isn't changed in place.
fn rewritten_call(function: &mut Function) -> Option<Expr> {
    if OF_A_DATE.iter().any(|name| is_named(function, name)) {
        wrap(function, 0, "to_date");
    } else if OF_A_TIME.iter().any(|name| is_named(function, name)) {
        wrap(function, 0, "to_timestamp");
    } else if is_named(function, "date_trunc") {
        wrap(function, 1, "to_timestamp");
    } else if is_named(function, "replace") {
        if let [_, _] = arguments(function)?.as_slice() {
            arguments(function)?.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(text(""))));
        }
    } else if is_named(function, "ltrim") || is_named(function, "rtrim") {
        // Spark has the letters first, and then the text.
        if let [_, _] = arguments(function)?.as_slice() {
            arguments(function)?.reverse();
        }
    } else if is_named(function, "position") {
        let [part, text] = plain(function)?;
        return Some(call("instr", vec![text, part]));
    } else if is_named(function, "mod") {
        let [left, right] = plain(function)?;
        let modulo = Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::Modulo, right: Box::new(right) };
        return Some(Expr::Nested(Box::new(modulo)));
    } else if is_named(function, "isnan") {
        let no = Expr::Value(ValueWithSpan { value: Value::Boolean(false), span: Span::empty() });
        let [value] = plain(function)?;
        return Some(call("coalesce", vec![call("isnan", vec![value]), no]));
    } else if is_named(function, "nullif") {
        let [value, other] = plain(function)?;
        let equal = Expr::BinaryOp { left: Box::new(value.clone()), op: BinaryOperator::Eq, right: Box::new(other) };
        let null = Expr::Value(ValueWithSpan { value: Value::Null, span: Span::empty() });
        return Some(call("if", vec![equal, null, value]));
    } else if is_named(function, "unix_timestamp") {
        let arguments = arguments(function)?;
        if arguments.is_empty() {
            arguments.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(call("now", Vec::new()))));
        }
        function.name = ObjectName::from(vec![Ident::with_span(function.name.span(), "to_unix_timestamp")]);
    } else if is_named(function, "from_unixtime") {
        let (seconds, pattern) = match plain::<2>(function) {
            Some([seconds, pattern]) => (seconds, pattern),
            None => (plain::<1>(function)?.into_iter().next()?, text("yyyy-MM-dd HH:mm:ss")),
        };
        return Some(call("date_format", vec![cast(cast(seconds, DataType::BigInt(None)), timestamp()), pattern]));
    } else if is_named(function, "nvl2") {
        let [tested, present, absent] = plain(function)?;
        return Some(call("if", vec![Expr::IsNotNull(Box::new(tested)), present, absent]));
    }
    None
}

fn arguments(function: &mut Function) -> Option<&mut Vec<FunctionArg>> {
    match &mut function.args {
        FunctionArguments::List(list) => Some(&mut list.args),
        _ => None,
    }
}

/// The arguments, where there are this many.
fn plain<const N: usize>(function: &mut Function) -> Option<[Expr; N]> {
    let expressions = arguments(function)?.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    expressions.collect::<Option<Vec<_>>>()?.try_into().ok()
}

/// Puts a call around an argument.
fn wrap(function: &mut Function, at: usize, around: &str) {
    if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))) = arguments(function).and_then(|arguments| arguments.get_mut(at)) {
        let inner = argument.clone();
        *argument = call(around, vec![inner]);
    }
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

fn timestamp() -> DataType {
    DataType::Timestamp(None, TimezoneInfo::None)
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, text(""))
}

fn text(value: &str) -> Expr {
    Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(value.to_owned()), span: Span::empty() })
}

/// A call of a function, standing where its first argument does.
fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let span = arguments.first().map_or_else(Span::empty, Spanned::span);
    let args = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_span(span, name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
