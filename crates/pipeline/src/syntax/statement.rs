//! The statements of a pipeline as they are written, each part with its place.

use std::time::Duration;

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{Expr, Query};
use datafusion::sql::sqlparser::tokenizer::{Location, TokenWithSpan};

use crate::diagnostic::Place;

/// Something written, with its place.
#[derive(Clone, Debug)]
pub(crate) struct Written<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

impl<T> Written<T> {
    pub(crate) fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }
}

pub(crate) type Name = Written<String>;

/// A statement.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    /// `CREATE TABLE`
    Table(Head),
    /// `CREATE STREAMING TABLE`
    StreamingTable(Head, Option<WrittenQuery>),
    /// `CREATE MATERIALIZED VIEW`
    MaterializedView(Head, WrittenQuery),
    /// `CREATE TEMPORARY VIEW`
    View(Name, WrittenQuery),
    /// `CREATE FUNCTION`
    Function(Definition),
    /// `CREATE FLOW name AS INSERT INTO target BY NAME query`
    Flow { name: Name, target: Name, query: WrittenQuery },
}

/// A function of the pipeline: an expression with parameters.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) name: Name,
    pub(crate) parameters: Vec<Column>,
    /// `RETURNS type`.
    pub(crate) returns: Option<DataType>,
    pub(crate) body: Box<Expr>,
    /// The tokens of the body, and where it stands.
    pub(crate) tokens: Vec<TokenWithSpan>,
    pub(crate) place: Place,
}

/// What stands before the query of a table.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) name: Name,
    pub(crate) columns: Option<Vec<Column>>,
    pub(crate) using: Option<Name>,
    pub(crate) options: Vec<Setting>,
    pub(crate) properties: Vec<Setting>,
    pub(crate) partitioned_by: Option<Written<Vec<Name>>>,
    pub(crate) location: Option<Name>,
}

/// A declared column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: Name,
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
}

/// A key and its value in `OPTIONS` or `TBLPROPERTIES`.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) key: Name,
    pub(crate) value: Name,
}

/// A query, with what sqlparser has no syntax for cut out of it.
#[derive(Clone, Debug)]
pub(crate) struct WrittenQuery {
    pub(crate) query: Box<Query>,
    /// Its tokens as written, `STREAM` and `WATERMARK` among them: to find the place of a word again.
    pub(crate) tokens: Vec<TokenWithSpan>,
    pub(crate) streams: Vec<StreamMark>,
    pub(crate) place: Place,
}

/// A relation that is read as a stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamMark {
    /// Where the relation's name begins.
    pub(crate) location: Location,
    pub(crate) watermark: Option<WatermarkClause>,
}

/// `WATERMARK column DELAY OF INTERVAL ...`
#[derive(Clone, Debug)]
pub(crate) struct WatermarkClause {
    pub(crate) column: Name,
    pub(crate) delay: Duration,
    pub(crate) place: Place,
}

impl WrittenQuery {
    pub(crate) fn stream_at(&self, location: Location) -> Option<&StreamMark> {
        self.streams.iter().find(|s| s.location == location)
    }
}
