//! `regexp_extract(text, pattern[, group])` and `regexp_extract_all`: a group of the first match, or of all. Group 0 is the whole match;
//! without a match, or where the group takes no part in it, it is an empty text.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::functions::regex::compile_regex;
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::syntax::type_names;

/// Both functions.
#[must_use]
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let function = |all| Arc::new(ScalarUDF::from(Extract { all, signature: Signature::user_defined(Volatility::Immutable) }));
    vec![function(false), function(true)]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Extract {
    /// Whether all matches are given.
    all: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Extract {
    fn name(&self) -> &str {
        if self.all { "regexp_extract_all" } else { "regexp_extract" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_, _] => Ok(vec![DataType::Utf8; 2]),
            [_, _, group] if group.is_integer() => Ok(vec![DataType::Utf8, DataType::Utf8, DataType::Int64]),
            _ => plan_err!("{}() takes a text, a pattern and the number of a group", self.name()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(if self.all { DataType::List(type_names::item_field(DataType::Utf8)) } else { DataType::Utf8 })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&[])?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [texts, patterns, groups @ ..] = arrays.as_slice() else { return exec_err!("{}() needs a text and a pattern", self.name()) };
        let group = |row: usize| match groups.first().map(|g| g.as_primitive::<Int64Type>()) {
            Some(groups) => groups.is_valid(row).then(|| groups.value(row)),
            None => Some(1),
        };
        let (texts, patterns) = (texts.as_string::<i32>(), patterns.as_string::<i32>());
        let mut found = Vec::with_capacity(texts.len());
        let mut known = HashMap::new();
        for row in 0..texts.len() {
            let (true, true, Some(group)) = (texts.is_valid(row), patterns.is_valid(row), group(row)) else {
                found.push(None);
                continue;
            };
            let pattern = patterns.value(row);
            if !known.contains_key(pattern) {
                known.insert(pattern, compile_regex(pattern, None)?);
            }
            let Some(expression) = known.get(pattern) else { return exec_err!("the pattern '{pattern}' can't be read") };
            // As in Spark, a group that there is not is no error where nothing matches.
            let number = usize::try_from(group).ok().filter(|group| *group < expression.captures_len());
            let matches = expression.captures_iter(texts.value(row)).take(if self.all { usize::MAX } else { 1 });
            let of_group = matches.map(|m| match number {
                Some(number) => Ok(m.get(number).map_or_else(String::new, |part| part.as_str().to_owned())),
                None => exec_err!("the pattern '{pattern}' has {} groups, and no group {group}", expression.captures_len() - 1),
            });
            found.push(Some(of_group.collect::<Result<Vec<_>>>()?));
        }
        Ok(ColumnarValue::Array(if self.all { lists(found) } else { firsts(found) }))
    }
}

fn firsts(found: Vec<Option<Vec<String>>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    for matches in found {
        builder.append_option(matches.map(|matches| matches.into_iter().next().unwrap_or_default()));
    }
    Arc::new(builder.finish())
}

fn lists(found: Vec<Option<Vec<String>>>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(type_names::item_field(DataType::Utf8));
    for matches in found {
        builder.append_option(matches.map(|matches| matches.into_iter().map(Some)));
    }
    Arc::new(builder.finish())
}
