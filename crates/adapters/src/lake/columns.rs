//! From a file's columns to a table's: the types that Millstream knows, the columns that were declared, by name.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::array::RecordBatchOptions;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use millstream_core::table::timestamp_type;

use super::error::LakeError;

/// The type among those of [`TableSpec`](millstream_core::TableSpec)'s documentation that holds every value of `data_type`, or `None`.
pub(super) fn known_type(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(_, _)
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32 => data_type.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
        DataType::Decimal256(p, s) if *p <= 38 => DataType::Decimal128(*p, *s),
        // A column of nothing but nulls is a STRING, as Spark has it.
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, Some(_)) => timestamp_type(),
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Dictionary(_, value) => known_type(value)?,
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(known_field(item)?)
        }
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(known_field).collect::<Option<_>>()?),
        DataType::Map(_, _) => data_type.clone(),
        _ => return None,
    })
}

/// Nested fields keep their names; like columns they may hold nulls, whatever the file says.
fn known_field(field: &FieldRef) -> Option<FieldRef> {
    Some(Arc::new(Field::new(field.name(), known_type(field.data_type())?, true)))
}

/// The table's columns for a file of `schema`, where none were declared: all nullable, as Spark reads them.
pub(super) fn known_schema(path: &Path, schema: &Schema) -> Result<SchemaRef, LakeError> {
    let fields = schema
        .fields()
        .iter()
        .map(|field| {
            known_field(field).ok_or_else(|| LakeError::Unsupported {
                path: path.to_owned(),
                what: format!("column {} is a {}, which has no counterpart in Spark SQL", field.name(), field.data_type()),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// The index of column `name` in `schema`: exactly so, else apart from upper and lower case (Spark's default).
pub(super) fn find(path: &Path, schema: &Schema, name: &str) -> Result<Option<usize>, LakeError> {
    if let Ok(index) = schema.index_of(name) {
        return Ok(Some(index));
    }
    let lower = name.to_lowercase();
    let mut alike = schema.fields().iter().enumerate().filter(|(_, f)| f.name().to_lowercase() == lower);
    match (alike.next(), alike.next()) {
        (Some(_), Some(_)) => Err(LakeError::AmbiguousColumn { path: path.to_owned(), column: name.to_owned() }),
        (found, _) => Ok(found.map(|(index, _)| index)),
    }
}

/// `batch` with the columns of `table`, by name, each cast to its type. A value that the type can't hold, a null where none may be,
/// and a column that the file does not have are errors that name the column and the file.
pub(super) fn fit(path: &Path, batch: &RecordBatch, table: &SchemaRef) -> Result<RecordBatch, LakeError> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let file_schema = batch.schema();
    let mut columns = Vec::with_capacity(table.fields().len());
    for field in table.fields() {
        let index = find(path, &file_schema, field.name())?.ok_or_else(|| missing(path, &file_schema, field.name()))?;
        let column = cast_with_options(batch.column(index), field.data_type(), &options).map_err(|source| LakeError::Misfit {
            path: path.to_owned(),
            column: field.name().clone(),
            data_type: spark_name(field.data_type()),
            source,
        })?;
        if !field.is_nullable() && column.null_count() > 0 {
            return Err(LakeError::Null { path: path.to_owned(), column: field.name().clone() });
        }
        columns.push(column);
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(table.clone(), columns, &rows).map_err(|source| LakeError::Text {
        path: path.to_owned(),
        format: "columns",
        source,
    })
}

pub(super) fn missing(path: &Path, schema: &Schema, column: &str) -> LakeError {
    let present = schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ");
    LakeError::NoColumn { path: path.to_owned(), column: column.to_owned(), present }
}

/// The name of a type in Spark SQL, for messages.
fn spark_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(p, s) => format!("DECIMAL({p}, {s})"),
        DataType::Utf8 => "STRING".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP_NTZ".to_owned(),
        other => other.to_string().to_uppercase(),
    }
}
