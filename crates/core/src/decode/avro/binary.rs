//! Avro's binary encoding (Avro 1.12 specification, "Binary Encoding"), read straight into slots: texts and bytes stay slices of the record.

use super::plan::{FieldStep, Fields, Plan};
use super::schema::{AvroSchema, Node};
use crate::decode::column::{ColumnType, Member};
use crate::decode::nested::{ended, is_wrong, settled, within};
use crate::decode::slot::{Slot, Spill};
use crate::decode::varint;

/// How deep values may be nested.
const DEPTH_MAX: u32 = 200;

/// Where and why bytes aren't a value of their schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub at: usize,
    pub what: &'static str,
}

/// A cursor over one record.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    pos: usize,
}

type Outcome<T> = Result<T, Malformed>;

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, pos: 0 }
    }

    fn malformed<T>(&self, what: &'static str) -> Outcome<T> {
        Err(Malformed { at: self.pos, what })
    }

    /// Nothing is left.
    pub(super) fn finish(&self) -> Outcome<()> {
        if self.pos == self.bytes.len() { Ok(()) } else { self.malformed("something follows it") }
    }

    fn take(&mut self, length: usize) -> Outcome<&'a [u8]> {
        let taken = self.pos.checked_add(length).and_then(|end| self.bytes.get(self.pos..end));
        match taken {
            Some(taken) => {
                self.pos += length;
                Ok(taken)
            }
            None => self.malformed("the bytes end within a value"),
        }
    }

    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let taken = self.take(N)?;
        <[u8; N]>::try_from(taken).or_else(|_| self.malformed("the bytes end within a value"))
    }

    /// Zigzag, seven bits a byte, the lowest first.
    #[inline]
    fn long(&mut self) -> Outcome<i64> {
        match varint::read(self.bytes.get(self.pos..).unwrap_or_default()) {
            Ok((value, length)) => {
                self.pos += length;
                Ok(varint::signed(value))
            }
            Err(what) => self.malformed(what),
        }
    }

    fn length(&mut self) -> Outcome<usize> {
        let at = self.pos;
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(length) if length <= self.bytes.len() - self.pos => Ok(length),
            _ => Err(Malformed { at, what: "a length is negative or beyond the end" }),
        }
    }

    fn counted(&mut self) -> Outcome<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Outcome<&'a str> {
        let at = self.pos;
        std::str::from_utf8(self.counted()?).map_err(|_| Malformed { at, what: "a string is not UTF-8" })
    }

    /// How many items the next block of an array or map has; 0 ends it.
    fn block(&mut self) -> Outcome<usize> {
        let at = self.pos;
        let count = self.long()?;
        if count < 0 {
            self.length()?;
        }
        match usize::try_from(count.unsigned_abs()) {
            // Each item has a byte at least: more of them would be a way to be busy for ever with a few bytes.
            Ok(count) if count <= self.bytes.len() - self.pos => Ok(count),
            _ => Err(Malformed { at, what: "a block has more items than bytes" }),
        }
    }
}

/// Reads the fields of a record; `put` takes the value of each that is wanted.
pub(super) fn fields<'a>(
    schema: &AvroSchema,
    fields: &Fields,
    cursor: &mut Cursor<'a>,
    spill: &mut Spill<'a>,
    put: &mut dyn FnMut(&mut Spill<'a>, usize, Slot<'a>),
) -> Outcome<()> {
    for step in &fields.steps {
        match step {
            FieldStep::Read { to, plan } => {
                let slot = value(schema, plan, cursor, spill)?;
                put(spill, *to, slot);
            }
            FieldStep::Skip { node } => skip(schema, *node, cursor, 0)?,
        }
    }
    Ok(())
}

/// Reads one value.
pub(super) fn value<'a>(schema: &AvroSchema, plan: &Plan, cursor: &mut Cursor<'a>, spill: &mut Spill<'a>) -> Outcome<Slot<'a>> {
    Ok(match plan {
        Plan::Null => Slot::Null,
        Plan::Boolean => match cursor.array()? {
            [byte @ (0 | 1)] => Slot::Int(byte.into()),
            _ => return cursor.malformed("a boolean is neither 0 nor 1"),
        },
        Plan::Integer(min, max) => match cursor.long()? {
            value if (*min..=*max).contains(&value) => Slot::Int(value),
            value => spill.misfit(String::new(), format!("{value} does not fit {}", ColumnType::Integer(*min, *max).sql_name())),
        },
        #[expect(clippy::cast_precision_loss, reason = "Avro's promotion of integers")]
        Plan::Promoted { single } => match (cursor.long()?, single) {
            (value, true) => Slot::Double((value as f32).into()),
            (value, false) => Slot::Double(value as f64),
        },
        Plan::Float => Slot::Double(f32::from_le_bytes(cursor.array()?).into()),
        Plan::Double => Slot::Double(f64::from_le_bytes(cursor.array()?)),
        Plan::Decimal { fixed, from_scale, precision, scale } => {
            let bytes = match fixed {
                Some(size) => cursor.take(*size)?,
                None => cursor.counted()?,
            };
            match unscaled(bytes).and_then(|value| rescaled(value, *from_scale, *precision, *scale)) {
                Some(value) => Slot::Decimal(value),
                None => spill.misfit(String::new(), format!("a decimal does not fit DECIMAL({precision}, {scale})")),
            }
        }
        Plan::Text => Slot::Text(cursor.text()?),
        Plan::Symbol(symbols) => {
            let index = cursor.long()?;
            match usize::try_from(index).ok().and_then(|i| symbols.get(i)) {
                Some(symbol) => spill.keep_text(symbol),
                None => return cursor.malformed("an enum has no such symbol"),
            }
        }
        Plan::Bytes(Some(size)) => Slot::Bytes(cursor.take(*size)?),
        Plan::Bytes(None) => Slot::Bytes(cursor.counted()?),
        Plan::Date => match cursor.long()? {
            days if i32::try_from(days).is_ok() => Slot::Int(days),
            days => spill.misfit(String::new(), format!("day {days} does not fit DATE")),
        },
        Plan::Timestamp { per_second } => {
            let units = cursor.long()?;
            let micros = match 1_000_000 / per_second {
                0 => Some(units.div_euclid(per_second / 1_000_000)),
                factor => units.checked_mul(factor),
            };
            match micros {
                Some(micros) => Slot::Int(micros),
                None => spill.misfit(String::new(), format!("{units} units of time do not fit TIMESTAMP")),
            }
        }
        Plan::Array(item, kind) => run(schema, item, kind, false, cursor, spill)?,
        Plan::Map(item, kind) => run(schema, item, kind, true, cursor, spill)?,
        Plan::Struct(wanted, members) => structure(schema, wanted, members, cursor, spill)?,
        Plan::Union(branches) => {
            let at = cursor.pos;
            let index = cursor.long()?;
            match usize::try_from(index).ok().and_then(|i| branches.get(i)) {
                Some(branch) => value(schema, branch, cursor, spill)?,
                None => return Err(Malformed { at, what: "a union has no such branch" }),
            }
        }
        Plan::Unreadable { node, why } => {
            skip(schema, *node, cursor, 0)?;
            spill.misfit(String::new(), why.clone())
        }
    })
}

/// An array, or a map where `keyed`.
fn run<'a>(
    schema: &AvroSchema,
    plan: &Plan,
    kind: &ColumnType,
    keyed: bool,
    cursor: &mut Cursor<'a>,
    spill: &mut Spill<'a>,
) -> Outcome<Slot<'a>> {
    let base = spill.open();
    let mut wrong = None;
    let mut at = 0_usize;
    loop {
        let count = cursor.block()?;
        if count == 0 {
            return Ok(ended(base, wrong, spill));
        }
        for _ in 0..count {
            let key = if keyed { Some(cursor.text()?) } else { None };
            let slot = value(schema, plan, cursor, spill)?;
            if wrong.is_none() && is_wrong(slot) {
                let path = key.map_or_else(|| format!("[{at}]"), |key| format!("['{key}']"));
                wrong = Some(within(&path, kind, slot, spill));
            }
            if let Some(key) = key {
                spill.push(Slot::Text(key));
            }
            spill.push(slot);
            at += 1;
        }
    }
}

fn structure<'a>(
    schema: &AvroSchema,
    wanted: &Fields,
    members: &[Member],
    cursor: &mut Cursor<'a>,
    spill: &mut Spill<'a>,
) -> Outcome<Slot<'a>> {
    let base = spill.open();
    members.iter().for_each(|_| spill.push(Slot::Missing));
    fields(schema, wanted, cursor, spill, &mut |spill, to, slot| {
        if let Some(part) = spill.part(base, to) {
            *part = slot;
        }
    })?;
    Ok(settled(base, members, spill))
}

/// Goes past a value of the type at `node`.
fn skip(schema: &AvroSchema, node: usize, cursor: &mut Cursor<'_>, depth: u32) -> Outcome<()> {
    if depth > DEPTH_MAX {
        return cursor.malformed("values are nested too deep");
    }
    match schema.node(node) {
        Node::Null => {}
        Node::Boolean => {
            cursor.take(1)?;
        }
        Node::Int | Node::Long | Node::Enum(_) | Node::Date | Node::Timestamp { .. } => {
            cursor.long()?;
        }
        Node::Float => {
            cursor.take(4)?;
        }
        Node::Double => {
            cursor.take(8)?;
        }
        Node::Bytes | Node::String | Node::Decimal { fixed: None, .. } => {
            cursor.counted()?;
        }
        Node::Fixed(size) | Node::Decimal { fixed: Some(size), .. } => {
            cursor.take(*size)?;
        }
        Node::Array(inner) | Node::Map(inner) => loop {
            let count = cursor.block()?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                if matches!(schema.node(node), Node::Map(_)) {
                    cursor.counted()?;
                }
                skip(schema, *inner, cursor, depth + 1)?;
            }
        },
        Node::Union(branches) => match usize::try_from(cursor.long()?).ok().and_then(|i| branches.get(i)) {
            Some(branch) => skip(schema, *branch, cursor, depth + 1)?,
            None => return cursor.malformed("a union has no such branch"),
        },
        Node::Record(fields) => {
            for (_, field) in fields {
                skip(schema, *field, cursor, depth + 1)?;
            }
        }
    }
    Ok(())
}

/// A number in two's complement, the highest byte first.
fn unscaled(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first().is_some_and(|b| b & 0x80 != 0);
    let filler = if negative { 0xff } else { 0 };
    let extra = bytes.len().saturating_sub(16);
    let (ignored, counted) = bytes.split_at(extra);
    if ignored.iter().any(|b| *b != filler) {
        return None;
    }
    let mut whole = [filler; 16];
    whole[16 - counted.len()..].copy_from_slice(counted);
    let value = i128::from_be_bytes(whole);
    (value.is_negative() == negative).then_some(value)
}

/// Exactly, or not at all.
fn rescaled(value: i128, from: i8, precision: u8, scale: i8) -> Option<i128> {
    let power = |by: i8| 10_i128.checked_pow(u32::from(by.unsigned_abs()));
    let value = match scale - from {
        0 => value,
        by if by > 0 => value.checked_mul(power(by)?)?,
        by => {
            let divisor = power(by)?;
            (value % divisor == 0).then_some(value / divisor)?
        }
    };
    (value.unsigned_abs() < 10_u128.checked_pow(precision.into())?).then_some(value)
}
