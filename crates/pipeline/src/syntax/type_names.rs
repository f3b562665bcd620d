//! Types as the language writes them: those of declared columns, and the schema that `from_json` takes as a text.

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use datafusion::sql::sqlparser::tokenizer::Token;
use millstream_core::table::timestamp_type;
use std::sync::Arc;

use super::cursor::Cursor;
use super::lexer;
use super::statement::Name;
use crate::diagnostic::Problem;

const TYPES_HELP: &str = "the types are BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), STRING, BINARY, DATE, TIMESTAMP, \
                          TIMESTAMP_NTZ, ARRAY<type>, MAP<type, type> and STRUCT<name: type, ...>";

/// How deep types may be nested.
const DEPTH_MAX: usize = 32;

/// The type of the column `column`, which comes next.
pub(crate) fn data_type(cursor: &mut Cursor, column: &Name) -> Result<DataType, Problem> {
    let mut reader = Reader { cursor, subject: format!("column `{}`", column.value), keeps_case: false, closing: 0, depth: 0 };
    let data_type = reader.data_type()?;
    if reader.closing > 0 {
        return Err(reader.cursor.expected("`,` or `)` after a column"));
    }
    Ok(data_type)
}

/// The type that a text says: a type, or columns as those of a struct. Names keep their letters, for they are those of JSON members.
pub(crate) fn parse_ddl(text: &str) -> Result<DataType, String> {
    let tokens = lexer::tokenize(0, text).map_err(|p| p.message)?;
    let mut cursor = Cursor::new(0, &tokens);
    if cursor.is_done() {
        return Err("it is empty".to_owned());
    }
    let is_type = match (cursor.peek(), cursor.peek_at(1)) {
        (_, None) => true,
        (Some(Token::Word(word)), Some(Token::Lt | Token::LParen | Token::Neq)) => word.quote_style.is_none(),
        _ => false,
    };
    let mut reader = Reader { cursor: &mut cursor, subject: "the schema".to_owned(), keeps_case: true, closing: 0, depth: 0 };
    let outcome = if is_type { reader.data_type() } else { reader.members().map(DataType::Struct) };
    let done = reader.closing == 0;
    let data_type = outcome.map_err(|p| p.message)?;
    if done && cursor.is_done() { Ok(data_type) } else { Err(cursor.expected("its end").message) }
}

/// The field of an array's items.
pub(crate) fn item_field(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("item", data_type, true))
}

/// A map, as all of the language's are.
pub(crate) fn map_type(key: DataType, value: DataType) -> DataType {
    let pair = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair), false)), false)
}

struct Reader<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    /// Whose type it is, for errors.
    subject: String,
    keeps_case: bool,
    /// Angle brackets that were closed by one token and not taken yet: `>>` is one.
    closing: usize,
    depth: usize,
}

impl Reader<'_, '_> {
    fn data_type(&mut self) -> Result<DataType, Problem> {
        let written = self.cursor.identifier(&format!("the type of {}", self.subject))?;
        let unsupported = |help: &str| {
            let message = format!("{} has type {}, which is not supported yet", self.subject, written.value.to_uppercase());
            Err(Problem::new("millstream::unsupported_type", written.place, message).help(help))
        };
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Problem::new("millstream::too_complex", written.place, "types are nested too deeply").help("write STRING"));
        }
        let data_type = match written.value.to_ascii_lowercase().as_str() {
            "boolean" => DataType::Boolean,
            "tinyint" | "byte" => DataType::Int8,
            "smallint" | "short" => DataType::Int16,
            "int" | "integer" => DataType::Int32,
            "bigint" | "long" => DataType::Int64,
            "float" | "real" => DataType::Float32,
            "double" => DataType::Float64,
            "decimal" | "dec" | "numeric" => decimal(self.cursor)?,
            "string" => DataType::Utf8,
            "binary" => DataType::Binary,
            "date" => DataType::Date32,
            "timestamp" | "timestamp_ltz" => timestamp_type(),
            "timestamp_ntz" => DataType::Timestamp(TimeUnit::Microsecond, None),
            "array" => {
                self.open("ARRAY<type>")?;
                let item = self.data_type()?;
                self.close()?;
                DataType::List(item_field(item))
            }
            "map" => {
                self.open("MAP<type, type>")?;
                let place = self.cursor.place();
                let key = self.data_type()?;
                if matches!(key, DataType::Map(..)) {
                    return Err(Problem::new("millstream::unsupported_type", place, "a map can't be the key of a map").help("write STRING"));
                }
                self.cursor.expect(&Token::Comma, "between the types of keys and values")?;
                let value = self.data_type()?;
                self.close()?;
                map_type(key, value)
            }
            "struct" => {
                if self.cursor.eat(&Token::Neq) {
                    DataType::Struct(Fields::empty())
                } else {
                    self.open("STRUCT<name: type, ...>")?;
                    let members = self.members()?;
                    self.close()?;
                    DataType::Struct(members)
                }
            }
            "variant" => return unsupported("write STRING, and take it apart in the query"),
            "varchar" | "char" | "character" | "text" => return unsupported("write STRING"),
            "interval" | "void" | "time" => return unsupported("write BIGINT or STRING"),
            _ => {
                let message = format!("`{}` is not a type", written.value);
                return Err(Problem::new("millstream::unknown_type", written.place, message).help(TYPES_HELP));
            }
        };
        self.depth -= 1;
        Ok(data_type)
    }

    /// `name: type [NOT NULL] [COMMENT '...'], ...`; the colon may be left out.
    fn members(&mut self) -> Result<Fields, Problem> {
        let mut members: Vec<Field> = Vec::new();
        loop {
            let place = self.cursor.place();
            let written = match self.cursor.peek() {
                Some(Token::Word(word)) if self.keeps_case => Some(word.value.clone()),
                _ => None,
            };
            let name = self.cursor.identifier("the name of a field")?;
            let name = written.unwrap_or(name.value);
            if members.iter().any(|m| *m.name() == name) {
                return Err(Problem::new("millstream::duplicate_column", place, format!("field `{name}` is there twice"))
                    .help("give one of them another name"));
            }
            self.cursor.eat(&Token::Colon);
            let data_type = self.data_type()?;
            let mut nullable = true;
            if self.closing == 0 {
                if self.cursor.eat_words(&["NOT", "NULL"]) {
                    nullable = false;
                }
                if self.cursor.eat_words(&["COMMENT"]) {
                    self.cursor.string("the comment")?;
                }
            }
            members.push(Field::new(name, data_type, nullable));
            if self.closing > 0 || !self.cursor.eat(&Token::Comma) {
                return Ok(Fields::from(members));
            }
        }
    }

    fn open(&mut self, form: &str) -> Result<(), Problem> {
        self.cursor.expect(&Token::Lt, "before the types within").map(|_| ()).map_err(|p| p.help(format!("write {form}")))
    }

    /// Takes one `>`.
    fn close(&mut self) -> Result<(), Problem> {
        if self.closing > 0 {
            self.closing -= 1;
        } else if self.cursor.eat(&Token::ShiftRight) {
            self.closing = 1;
        } else {
            self.cursor.expect(&Token::Gt, "after the types within")?;
        }
        Ok(())
    }
}

/// `(precision, scale)`, by default (10, 0).
fn decimal(cursor: &mut Cursor) -> Result<DataType, Problem> {
    if !cursor.eat(&Token::LParen) {
        return Ok(DataType::Decimal128(10, 0));
    }
    let place = cursor.place();
    let precision = whole_number(cursor)?;
    let scale = if cursor.eat(&Token::Comma) { whole_number(cursor)? } else { 0 };
    cursor.expect(&Token::RParen, "after the scale")?;
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(p), Ok(s)) if (1..=38).contains(&p) && scale <= precision => Ok(DataType::Decimal128(p, s)),
        _ => Err(Problem::new("millstream::unknown_type", place, format!("DECIMAL({precision}, {scale}) does not exist"))
            .help("the precision is 1 to 38, the scale 0 to the precision")),
    }
}

fn whole_number(cursor: &mut Cursor) -> Result<u32, Problem> {
    match cursor.peek() {
        Some(Token::Number(number, _)) => match number.parse() {
            Ok(value) => {
                cursor.advance();
                Ok(value)
            }
            Err(_) => Err(cursor.expected("a whole number")),
        },
        _ => Err(cursor.expected("a whole number")),
    }
}

#[cfg(test)]
mod tests;
