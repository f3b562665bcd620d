//! JSON texts as values of one type: Spark's `from_json`. Beside the rules of topics' records, these are its own: what follows the value is not
//! looked at, blank text is null, and in permissive mode a text that isn't JSON is a struct of nulls, or a null array or map.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::build::Builder;
use super::column::ColumnType;
use super::nested::is_wrong;
use super::scan::Scanner;
use super::slot::{Slot, Spill};
use super::{ParseMode, shown};
use crate::error::{Error, Result};
use crate::style::TimeFormats;

/// Reads values of one type.
#[derive(Debug)]
pub struct JsonValues {
    data_type: DataType,
    kind: ColumnType,
    lenient: bool,
    /// The STRING field of a struct that gets a text that wasn't wholly its value.
    corrupt: Option<usize>,
}

impl JsonValues {
    /// A reader of values of `data_type` (an array, a map or a struct). In [`ParseMode::DeadLetter`] a text that isn't one is an error.
    pub fn try_new(data_type: &DataType, times: &TimeFormats, mode: ParseMode, corrupt_record: &str) -> Result<Self> {
        let kind = ColumnType::of("value", data_type, times)?;
        if !kind.is_nested() {
            return Err(Error::invalid(format!("from_json() gives a struct, an array or a map, not {}", kind.sql_name())));
        }
        let corrupt = match &kind {
            ColumnType::Struct(members) => members.iter().position(|m| m.name == corrupt_record && m.kind == ColumnType::String),
            _ => None,
        };
        Ok(Self { data_type: data_type.clone(), kind, lenient: mode == ParseMode::Permissive, corrupt })
    }

    /// The values of `texts`. [`InvalidInput`](crate::ErrorKind::InvalidInput) shows the text that isn't one, where that is an error.
    pub fn read<'a>(&self, texts: impl ExactSizeIterator<Item = Option<&'a str>>) -> Result<ArrayRef> {
        let mut builder = Builder::new(&self.data_type, texts.len());
        let mut spill = Spill::new(self.lenient);
        for text in texts {
            spill.clear();
            let slot = match text.filter(|t| !t.trim().is_empty()) {
                Some(text) => self.value(text, &mut spill)?,
                None => Slot::Null,
            };
            builder.append(&slot, &spill);
        }
        builder.finish()
    }

    fn value<'a>(&self, text: &'a str, spill: &mut Spill<'a>) -> Result<Slot<'a>> {
        let mut scanner = Scanner::new(text);
        scanner.skip_whitespace();
        let read = match &self.kind {
            // As Spark has it, one object stands for an array of one.
            ColumnType::Array(item) if matches!(**item, ColumnType::Struct(_)) && scanner.peek() == Some(b'{') => {
                item.read(&mut scanner, spill).map(|slot| {
                    let base = spill.open();
                    spill.push(slot);
                    if is_wrong(slot) { slot } else { spill.close(base) }
                })
            }
            kind => kind.read(&mut scanner, spill),
        };
        let slot = match read {
            Ok(slot) if !is_wrong(slot) => slot,
            _ if self.lenient => {
                spill.partial = true;
                self.nulls(spill)
            }
            Ok(Slot::Misfit(at)) => {
                let what = spill.misfits.get(at).map_or_else(String::new, |m| format!("{} {}", m.path.trim_start_matches('.'), m.problem));
                return Err(Error::invalid(format!("from_json() can't read {}: {what}", shown(text))));
            }
            Ok(_) => return Err(Error::invalid(format!("from_json() can't read {} as {}", shown(text), self.kind.sql_name()))),
            Err(malformed) => {
                let (what, at) = (malformed.what, malformed.at);
                return Err(Error::invalid(format!("from_json() can't read {}: {what} at byte {at}", shown(text))));
            }
        };
        if let (Some(at), Slot::Nested(start, _)) = (self.corrupt, slot)
            && let Some(field) = spill.tape.get_mut(start + at)
        {
            *field = if spill.partial { Slot::Text(text) } else { Slot::Null };
        }
        Ok(slot)
    }

    /// What stands for a text that isn't a value.
    fn nulls<'a>(&self, spill: &mut Spill<'a>) -> Slot<'a> {
        let ColumnType::Struct(members) = &self.kind else { return Slot::Null };
        spill.tape.clear();
        let base = spill.open();
        members.iter().for_each(|_| spill.push(Slot::Null));
        let len = members.len();
        let Slot::Nested(_, end) = spill.close(base) else { return Slot::Null };
        Slot::Nested(end - len, end)
    }
}

#[cfg(test)]
mod tests;
