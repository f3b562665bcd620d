//! Protobuf's wire format ("Encoding", protobuf.dev) of rows as messages of a given type, as Spark's `to_protobuf` writes them: columns are
//! fields by name, in the order of their numbers; what is null is left out, and so is zero in a field without presence. Other than Spark, which
//! writes it, a column that may be null is refused for a field in which nobody could tell it from zero.
//!
//! How a column is written is how the reader reads that field into it, so what is written is read again.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, TimestampMicrosecondType,
};

use super::varint;
use crate::decode::column::{ColumnType, Member};
use crate::decode::protobuf::ProtobufMessage;
use crate::decode::protobuf::descriptor::{Field, Kind};
use crate::decode::protobuf::plan::{self, FieldPlan, MessagePlan, Number, Value};
use crate::style::TimeFormats;

/// Writes rows as messages of one type.
#[derive(Clone, Debug)]
pub(super) struct ProtobufWriter {
    plan: MessagePlan,
    /// Whether a value of these columns may not fit its field.
    may_refuse: bool,
}

type Outcome<T> = Result<T, String>;

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const COUNTED: u32 = 2;
const FIXED32: u32 = 5;

impl ProtobufWriter {
    /// A writer of rows with these columns; the error says why they can't be such messages.
    pub(super) fn try_new(types: &ProtobufMessage, columns: &Schema) -> Outcome<Self> {
        let member = |field: &arrow::datatypes::FieldRef| {
            let kind = ColumnType::of(field.name(), field.data_type(), &TimeFormats::default()).map_err(|e| e.message().to_owned())?;
            Ok(Member { name: field.name().clone(), kind, required: !field.is_nullable() })
        };
        let members = columns.fields().iter().map(member).collect::<Outcome<Vec<_>>>()?;
        let mut fit = Fit { types, may_refuse: false, depth: 0 };
        fit.message(types.root, &members)?;
        let wanted: Vec<_> = members.iter().map(|m| (m.name.as_str(), &m.kind, m.required)).collect();
        Ok(Self { plan: plan::message(types, types.root, &wanted, false)?, may_refuse: fit.may_refuse })
    }

    /// Whether a row may not be a message.
    pub(super) fn may_refuse(&self) -> bool {
        self.may_refuse
    }

    /// Writes the row as a message; the error says why it is none.
    pub(super) fn write_row(&self, out: &mut Vec<u8>, rows: &RecordBatch, row: usize) -> Outcome<()> {
        message(out, &self.plan, rows.columns(), row)
    }
}

/// Whether columns can be written into the fields of a message.
struct Fit<'m> {
    types: &'m ProtobufMessage,
    may_refuse: bool,
    /// How many messages are around the one that is looked at.
    depth: usize,
}

impl Fit<'_> {
    fn message(&mut self, at: usize, members: &[Member]) -> Outcome<()> {
        let Some(message) = self.types.messages.get(at) else { return Err("its message type is not in the descriptor".to_owned()) };
        let mut taken: Vec<&Field> = Vec::new();
        for member in members {
            let Some(field) = plan::find(&message.fields, &member.name) else {
                let known: Vec<_> = message.fields.iter().map(|f| f.name.as_str()).collect();
                return Err(format!("the message {} has no field {}; it has {}", message.name, member.name, known.join(", ")));
            };
            if taken.iter().any(|other| other.number == field.number) {
                return Err(format!("two columns are the field {} of the message {}", field.name, message.name));
            }
            // Of a oneof that has several columns one row may have two.
            self.may_refuse |= field.oneof.is_some() && taken.iter().any(|other| other.oneof == field.oneof);
            taken.push(field);
            self.field(field, &member.kind).map_err(|why| format!("field {}: {why}", field.name))?;
            let is_ambiguous = !field.presence && !field.repeated;
            if self.depth > 0 && !member.required && (field.required || is_ambiguous) {
                return Err(format!(
                    "the field {0} of {1} may be null, as every field of a struct that the query makes, and {2}: write `optional` before \
                     the field in the .proto file, or take a struct whose column is declared with {0}: ... NOT NULL",
                    field.name,
                    message.name,
                    if field.required { "is required there" } else { "nobody can tell null from zero there" }
                ));
            }
            if !member.required && field.required {
                return Err(format!("field {} is required, and the column may be null: write coalesce({}, ...)", field.name, member.name));
            }
            if !member.required && field.default.is_some() {
                return Err(format!(
                    "the column {0} may be null, and who reads the field {0} without a value takes its default for it: take [default = ...] out of the \
                     .proto file, or write coalesce({0}, ...) in the query",
                    field.name
                ));
            }
            if !member.required && is_ambiguous {
                return Err(format!(
                    "the column {0} may be null, and of the field {0} nobody can tell null from zero: write `optional` before the field in the \
                     .proto file, or coalesce({0}, ...) in the query",
                    field.name
                ));
            }
        }
        match message.fields.iter().find(|field| field.required && taken.iter().all(|known| known.number != field.number)) {
            Some(field) => Err(format!("the message {} requires the field {}, and there is no such column", message.name, field.name)),
            None => Ok(()),
        }
    }

    /// One field, of which the reader's rules are kept by [`plan::message`].
    fn field(&mut self, field: &Field, kind: &ColumnType) -> Outcome<()> {
        // An item, a map's value: null has no word.
        self.may_refuse |= field.repeated;
        match (kind, &field.kind) {
            (ColumnType::Array(item), _) if field.repeated => self.one(field, item),
            (ColumnType::Map(key, value), Kind::Message(at)) if field.repeated => {
                let Some(entry) = self.types.messages.get(*at).filter(|m| m.map_entry) else { return self.one(field, kind) };
                let sides = [("key", key), ("value", value)];
                sides.into_iter().try_for_each(|(name, side)| match entry.fields.iter().find(|f| f.name == name) {
                    Some(field) => self.one(field, side),
                    None => Err("its entry has no key or no value".to_owned()),
                })
            }
            _ => self.one(field, kind),
        }
    }

    fn one(&mut self, field: &Field, kind: &ColumnType) -> Outcome<()> {
        let narrow = matches!(field.kind, Kind::Int32 | Kind::SInt32 | Kind::SFixed32 | Kind::Enum(_));
        let unsigned = matches!(field.kind, Kind::UInt32 | Kind::UInt64 | Kind::Fixed32 | Kind::Fixed64);
        match (&field.kind, kind) {
            (_, ColumnType::Integer(_, max)) if narrow && *max > i32::MAX.into() => Err(too_wide(field, kind, "INT")),
            (Kind::Float, ColumnType::Double) => Err(too_wide(field, kind, "FLOAT")),
            (Kind::String, ColumnType::Binary) => Err(too_wide(field, kind, "STRING")),
            (Kind::Message(at), ColumnType::Struct(members)) => {
                self.depth += 1;
                let fits = self.message(*at, members);
                self.depth -= 1;
                fits
            }
            (Kind::Enum(_), ColumnType::String) | (_, ColumnType::Decimal(..)) => {
                self.may_refuse = true;
                Ok(())
            }
            _ => {
                self.may_refuse |= unsigned;
                Ok(())
            }
        }
    }
}

fn too_wide(field: &Field, kind: &ColumnType, fitting: &str) -> String {
    format!("a {} does not fit {}: write CAST(... AS {fitting})", kind.sql_name(), plan::word(&field.kind))
}

/// Writes the message that the values at `row` are.
fn message(out: &mut Vec<u8>, plan: &MessagePlan, columns: &[ArrayRef], row: usize) -> Outcome<()> {
    let mut oneofs: Vec<(u64, u32)> = Vec::new();
    for field in &plan.fields {
        let Some(array) = columns.get(field.to).filter(|array| array.is_valid(row)) else { continue };
        if let Some(oneof) = field.oneof {
            if let Some((_, other)) = oneofs.iter().find(|(known, _)| *known == oneof) {
                return Err(format!("fields {other} and {} are of one oneof, and both have a value", field.number));
            }
            oneofs.push((oneof, field.number));
        }
        let start = out.len();
        let is_zero = match (&field.value, field.repeated) {
            (Value::Entry(entry), true) => entries(out, field, entry, array, row)?,
            (_, true) => items(out, field, array, row)?,
            _ => tagged(out, field, array, row)?,
        };
        if is_zero && !field.presence {
            out.truncate(start);
        }
    }
    Ok(())
}

fn null_within(field: &FieldPlan) -> String {
    format!("an item or value of field {} is null, which Protobuf has no word for", field.number)
}

/// Writes a list; of none, nothing.
fn items(out: &mut Vec<u8>, field: &FieldPlan, array: &ArrayRef, row: usize) -> Outcome<bool> {
    let items = array.as_list_opt::<i32>().ok_or("a repeated field is no list")?.value(row);
    if items.null_count() > 0 {
        return Err(null_within(field));
    }
    if field.packed && !items.is_empty() {
        let mut packed = Vec::new();
        for item in 0..items.len() {
            one(&mut packed, &field.value, &items, item)?;
        }
        tag(out, field.number, COUNTED);
        counted(out, &packed);
    } else {
        for item in 0..items.len() {
            tagged(out, field, &items, item)?;
        }
    }
    Ok(false)
}

/// Writes a map: an entry is a message with both its fields.
fn entries(out: &mut Vec<u8>, field: &FieldPlan, entry: &MessagePlan, array: &ArrayRef, row: usize) -> Outcome<bool> {
    let pairs = array.as_map_opt().ok_or("a map field is no map")?.value(row);
    for at in 0..pairs.len() {
        let mut body = Vec::new();
        for side in &entry.fields {
            let values = pairs.columns().get(side.to).filter(|values| values.is_valid(at)).ok_or_else(|| null_within(field))?;
            tagged(&mut body, side, values, at)?;
        }
        tag(out, field.number, COUNTED);
        counted(out, &body);
    }
    Ok(false)
}

/// Writes the value behind its tag; says whether it is zero.
fn tagged(out: &mut Vec<u8>, field: &FieldPlan, array: &ArrayRef, row: usize) -> Outcome<bool> {
    let wire = match (&field.value, field.value.word()) {
        (_, Some(8)) => FIXED64,
        (_, Some(_)) => FIXED32,
        (Value::Text | Value::Bytes | Value::Timestamp | Value::Message(..) | Value::Entry(_), None) => COUNTED,
        _ => VARINT,
    };
    tag(out, field.number, wire);
    one(out, &field.value, array, row)
}

/// Writes one value, which is not null, without its tag; says whether it is zero.
fn one(out: &mut Vec<u8>, value: &Value, array: &ArrayRef, row: usize) -> Outcome<bool> {
    let other = || format!("a {} is not what its field is", array.data_type());
    Ok(match value {
        Value::Integer(of, ..) => number(out, *of, integer(array, row).ok_or_else(other)?.into())?,
        Value::Decimal(of) => number(out, *of, array.as_primitive_opt::<Decimal128Type>().ok_or_else(other)?.value(row))?,
        Value::Bool => {
            let set = array.as_boolean_opt().ok_or_else(other)?.value(row);
            varint::write(out, set.into());
            !set
        }
        Value::Float => {
            let bits = array.as_primitive_opt::<Float32Type>().ok_or_else(other)?.value(row).to_bits();
            out.extend_from_slice(&bits.to_le_bytes());
            bits == 0
        }
        Value::Double => {
            let bits = array.as_primitive_opt::<Float64Type>().ok_or_else(other)?.value(row).to_bits();
            out.extend_from_slice(&bits.to_le_bytes());
            bits == 0
        }
        Value::Text => {
            let text = array.as_string_opt::<i32>().ok_or_else(other)?.value(row);
            counted(out, text.as_bytes());
            text.is_empty()
        }
        Value::Bytes => {
            let bytes = array.as_binary_opt::<i32>().ok_or_else(other)?.value(row);
            counted(out, bytes);
            bytes.is_empty()
        }
        Value::Symbol(symbols) => {
            let symbol = array.as_string_opt::<i32>().ok_or_else(other)?.value(row);
            let Some((number, _)) = symbols.iter().find(|(_, known)| known == symbol) else {
                let known: Vec<_> = symbols.iter().map(|(_, known)| known.as_str()).collect();
                return Err(format!("'{symbol}' is none of the enum's names {}", known.join(", ")));
            };
            varint::write(out, i64::from(*number).cast_unsigned());
            *number == 0
        }
        Value::Timestamp => {
            let micros = array.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(other)?.value(row);
            let mut body = Vec::new();
            for (field, part) in [(1, micros.div_euclid(1_000_000)), (2, micros.rem_euclid(1_000_000) * 1_000)] {
                if part != 0 {
                    tag(&mut body, field, VARINT);
                    varint::write(&mut body, part.cast_unsigned());
                }
            }
            counted(out, &body);
            false
        }
        Value::Message(plan, _) => {
            let mut body = Vec::new();
            message(&mut body, plan, array.as_struct_opt().ok_or_else(other)?.columns(), row)?;
            counted(out, &body);
            false
        }
        Value::Entry(_) => return Err(other()),
    })
}

fn integer(array: &ArrayRef, row: usize) -> Option<i64> {
    Some(match array.data_type() {
        DataType::Int8 => array.as_primitive_opt::<Int8Type>()?.value(row).into(),
        DataType::Int16 => array.as_primitive_opt::<Int16Type>()?.value(row).into(),
        DataType::Int32 => array.as_primitive_opt::<Int32Type>()?.value(row).into(),
        _ => array.as_primitive_opt::<Int64Type>()?.value(row),
    })
}

/// Writes a number as its field's type has it; says whether it is zero.
fn number(out: &mut Vec<u8>, of: Number, value: i128) -> Outcome<bool> {
    let misfit = |name: &str| format!("{value} does not fit {name}");
    let narrow = || i32::try_from(value).map_err(|_| misfit("a signed number of 32 bits"));
    let wide = || i64::try_from(value).map_err(|_| misfit("a signed number of 64 bits"));
    let narrow_unsigned = || u32::try_from(value).map_err(|_| misfit("an unsigned number of 32 bits"));
    let wide_unsigned = || u64::try_from(value).map_err(|_| misfit("an unsigned number of 64 bits"));
    match of {
        // A negative one has ten bytes, so that an int64 field reads it, too.
        Number::Int32 => varint::write(out, i64::from(narrow()?).cast_unsigned()),
        Number::Int64 => varint::write(out, wide()?.cast_unsigned()),
        Number::UInt32 => varint::write(out, narrow_unsigned()?.into()),
        Number::UInt64 => varint::write(out, wide_unsigned()?),
        Number::SInt32 => varint::write(out, varint::zigzag(narrow()?.into())),
        Number::SInt64 => varint::write(out, varint::zigzag(wide()?)),
        Number::Fixed32 => out.extend_from_slice(&narrow_unsigned()?.to_le_bytes()),
        Number::Fixed64 => out.extend_from_slice(&wide_unsigned()?.to_le_bytes()),
        Number::SFixed32 => out.extend_from_slice(&narrow()?.to_le_bytes()),
        Number::SFixed64 => out.extend_from_slice(&wide()?.to_le_bytes()),
    }
    Ok(value == 0)
}

fn tag(out: &mut Vec<u8>, number: u32, wire: u32) {
    varint::write(out, (u64::from(number) << 3) | u64::from(wire));
}

fn counted(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::write(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests;
