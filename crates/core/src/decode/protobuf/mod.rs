//! Protobuf messages as rows, by a message type of a descriptor file, and by the rules of Spark 4.1's `from_protobuf`: fields are found by name,
//! an enum is its name, a `google.protobuf.Timestamp` a TIMESTAMP. A field that is left out is null, or what its default says (proto2); an array or
//! map that is left out is empty. With `emit.default.values`, and in a NOT NULL column, a field without presence that is left out is zero.
//!
//! Not read: groups, and a message that stands there twice (which would have to be merged).

pub(crate) mod descriptor;
pub(crate) mod plan;
mod wire;

use super::column::ColumnType;
use super::nested::{ended, is_wrong, settled, within};
use super::slot::{Slot, Spill};
use crate::error::{Error, Result};

pub use descriptor::ProtobufMessage;
use plan::{FieldPlan, MessagePlan, Value, Zero};
use wire::{Fields, Malformed, Wire};

/// How deep messages may be nested: plans are as deep as the table's columns, so that this only guards the reader's own recursion.
type Outcome<T> = Result<T, Malformed>;

/// Reads messages.
#[derive(Debug)]
pub(super) struct ProtobufReader {
    plan: MessagePlan,
    /// For each part of the message the column that it goes to.
    columns: Vec<usize>,
}

impl ProtobufReader {
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the message can't become `columns` (place, name, type, NOT NULL).
    pub(super) fn try_new(message: &ProtobufMessage, columns: &[(usize, String, ColumnType, bool)], defaults: bool) -> Result<Self> {
        let wanted: Vec<_> = columns.iter().map(|(_, name, kind, required)| (name.as_str(), kind, *required)).collect();
        let plan =
            plan::message(message, message.root, &wanted, defaults).map_err(|why| Error::invalid(format!("no value is a row: {why}")))?;
        Ok(Self { plan, columns: columns.iter().map(|(at, ..)| *at).collect() })
    }

    /// Reads the message that `value` is into the slots of its columns; the reason where it isn't one.
    pub(super) fn message<'a>(&self, value: &'a [u8], slots: &mut [Slot<'a>], spill: &mut Spill<'a>) -> Result<(), String> {
        let base = read(&self.plan, value, 0, spill)
            .map_err(|e| format!("the value is not a message of its descriptor: {} at byte {}", e.what, e.at))?;
        for (part, column) in self.columns.iter().enumerate() {
            if let (Some(slot), Some(read)) = (slots.get_mut(*column), spill.part(base, part)) {
                *slot = *read;
            }
        }
        spill.abandon(base);
        Ok(())
    }
}

/// Reads a message into parts of the value that is opened for it, and left open.
fn read<'a>(plan: &MessagePlan, bytes: &'a [u8], start: usize, spill: &mut Spill<'a>) -> Outcome<usize> {
    let base = spill.open();
    (0..plan.width).for_each(|_| spill.push(Slot::Missing));
    let mut fields = Fields::new(bytes, start);
    loop {
        let here = fields;
        let Some((number, wire)) = fields.next()? else { break };
        let Some(field) = plan.field(number) else { continue };
        let seen = spill.part(base, field.to).is_some_and(|part| *part != Slot::Missing);
        let slot = match (&field.value, field.repeated) {
            // All of them were collected where the first stood.
            (_, true) if seen => continue,
            (_, true) => repeated(field, here, spill)?,
            (Value::Message(..) | Value::Timestamp, false) if seen => {
                return here.malformed("a field that holds a message stands there twice");
            }
            (value, false) => one(value, wire, &here, spill)?,
        };
        if let Some(part) = spill.part(base, field.to) {
            *part = slot;
        }
    }
    for field in &plan.fields {
        let absent = spill.part(base, field.to).is_some_and(|part| *part == Slot::Missing);
        if absent {
            let slot = match &field.zero {
                Zero::Null => Slot::Null,
                Zero::Empty => Slot::Nested(0, 0),
                Zero::Int(value) => Slot::Int(*value),
                Zero::Double(value) => Slot::Double(*value),
                Zero::Decimal(value) => Slot::Decimal(*value),
                Zero::Text(text) => spill.keep_text(text),
                Zero::NoBytes => Slot::SpiltBytes(0, 0),
            };
            if let Some(part) = spill.part(base, field.to) {
                *part = slot;
            }
        }
    }
    Ok(base)
}

/// All values of a repeated field, or entries of a map, from the first one on.
fn repeated<'a>(field: &FieldPlan, mut fields: Fields<'a>, spill: &mut Spill<'a>) -> Outcome<Slot<'a>> {
    let base = spill.open();
    let mut wrong = None;
    let mut count = 0_usize;
    loop {
        let here = fields;
        let Some((number, wire)) = fields.next()? else { return Ok(ended(base, wrong, spill)) };
        if number != field.number {
            continue;
        }
        let mut add = |slot: Slot<'a>, key: Option<Slot<'a>>, spill: &mut Spill<'a>| {
            if wrong.is_none() && is_wrong(slot) {
                wrong = Some(within(&format!("[{count}]"), &field.kind, slot, spill));
            }
            if let Some(key) = key {
                spill.push(key);
            }
            spill.push(slot);
            count += 1;
        };
        match (&field.value, wire) {
            (Value::Entry(entry), Wire::Counted(bytes, at)) => {
                let inner = read(entry, bytes, at, spill)?;
                let (key, value) = (part(spill, inner, 0), part(spill, inner, 1));
                spill.abandon(inner);
                if is_wrong(key) {
                    add(key, None, spill);
                } else {
                    add(value, Some(key), spill);
                }
            }
            (value, Wire::Counted(bytes, at)) if value.is_packable() => {
                let mut packed = Fields::new(bytes, at);
                while let Some(wire) = unpacked(value, &mut packed)? {
                    let slot = one(value, wire, &here, spill)?;
                    add(slot, None, spill);
                }
            }
            (value, wire) => {
                let slot = one(value, wire, &here, spill)?;
                add(slot, None, spill);
            }
        }
    }
}

fn part<'a>(spill: &mut Spill<'a>, base: usize, at: usize) -> Slot<'a> {
    spill.part(base, at).map_or(Slot::Null, |slot| *slot)
}

/// The next value of a packed field.
fn unpacked<'a>(value: &Value, packed: &mut Fields<'a>) -> Outcome<Option<Wire<'a>>> {
    Ok(match value.word() {
        Some(8) => packed.packed_word()?.map(|bytes| Wire::Fixed64(u64::from_le_bytes(bytes))),
        Some(_) => packed.packed_word()?.map(|bytes| Wire::Fixed32(u32::from_le_bytes(bytes))),
        None => packed.packed_varint()?.map(Wire::Varint),
    })
}

/// One value.
fn one<'a>(value: &Value, wire: Wire<'a>, here: &Fields<'a>, spill: &mut Spill<'a>) -> Outcome<Slot<'a>> {
    Ok(match (value, wire) {
        (Value::Integer(of, min, max), wire) => match of.read(wire) {
            Some(number) if (i128::from(*min)..=i128::from(*max)).contains(&number) => Slot::Int(i64::try_from(number).unwrap_or_default()),
            Some(number) => spill.misfit(String::new(), format!("{number} does not fit {}", ColumnType::Integer(*min, *max).sql_name())),
            None => return here.malformed("a number has another type on the wire"),
        },
        (Value::Decimal(of), wire) => match of.read(wire) {
            Some(number) => Slot::Decimal(number),
            None => return here.malformed("a number has another type on the wire"),
        },
        (Value::Bool, Wire::Varint(value)) => Slot::Int((value != 0).into()),
        (Value::Float, Wire::Fixed32(bits)) => Slot::Double(f32::from_bits(bits).into()),
        (Value::Double, Wire::Fixed64(bits)) => Slot::Double(f64::from_bits(bits)),
        (Value::Text, Wire::Counted(bytes, _)) => match std::str::from_utf8(bytes) {
            Ok(text) => Slot::Text(text),
            Err(_) => return here.malformed("a string is not UTF-8"),
        },
        (Value::Bytes, Wire::Counted(bytes, _)) => Slot::Bytes(bytes),
        (Value::Symbol(symbols), Wire::Varint(number)) => {
            let number = descriptor::int32(number);
            match symbols.iter().find(|(of, _)| *of == number) {
                Some((_, symbol)) => spill.keep_text(symbol),
                // An enum that has grown since: its number, as protobuf's own JSON has it.
                None => spill.keep_text(&number.to_string()),
            }
        }
        (Value::Timestamp, Wire::Counted(bytes, at)) => timestamp(bytes, at, spill)?,
        (Value::Message(plan, members), Wire::Counted(bytes, at)) => {
            let base = read(plan, bytes, at, spill)?;
            settled(base, members, spill)
        }
        _ => return here.malformed("a field has another type on the wire"),
    })
}

/// `google.protobuf.Timestamp`: seconds (1) and nanoseconds (2), which are cut to microseconds.
fn timestamp<'a>(bytes: &[u8], start: usize, spill: &mut Spill<'a>) -> Outcome<Slot<'a>> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    let mut fields = Fields::new(bytes, start);
    while let Some((number, wire)) = fields.next()? {
        match (number, wire) {
            (1, Wire::Varint(value)) => seconds = value.cast_signed(),
            (2, Wire::Varint(value)) => nanos = descriptor::int32(value).into(),
            _ => {}
        }
    }
    let micros = seconds.checked_mul(1_000_000).and_then(|m| m.checked_add(nanos.div_euclid(1_000)));
    Ok(micros.map_or_else(|| spill.misfit(String::new(), format!("{seconds} seconds do not fit TIMESTAMP")), Slot::Int))
}

#[cfg(test)]
pub(super) mod tests;
