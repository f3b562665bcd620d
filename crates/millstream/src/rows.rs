//! Rows as text: a table for people, CSV (RFC 4180), or one JSON object a line. Streams: holds a bounded number of rows.

use std::fmt::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use millstream_core::{Error, Result};

use crate::cli::RowFormat;

/// A table's widths are those of so many rows; a wider cell further down pushes its line out.
const SAMPLE_ROWS: usize = 10_000;

/// Turns batches into text, in order.
pub struct RowWriter {
    format: RowFormat,
    schema: SchemaRef,
    /// Table only: lines that wait until the widths are known.
    sample: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
    rows: usize,
}

impl RowWriter {
    /// A writer of rows of `schema`.
    pub fn new(format: RowFormat, schema: SchemaRef) -> Self {
        Self { format, schema, sample: Vec::new(), widths: None, rows: 0 }
    }

    /// What comes before the rows.
    pub fn head(&self) -> String {
        match self.format {
            RowFormat::Csv => csv_head(&self.schema),
            RowFormat::Table | RowFormat::Json => String::new(),
        }
    }

    /// The text of `batch`; a table's first rows are held back.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<String> {
        self.rows += batch.num_rows();
        match self.format {
            RowFormat::Json => json(batch),
            RowFormat::Csv => csv(batch),
            RowFormat::Table => {
                let lines = table_cells(batch)?;
                match &self.widths {
                    Some(widths) => Ok(lines.iter().map(|row| self.table_line(row, widths)).collect()),
                    None => {
                        self.sample.extend(lines);
                        Ok(if self.sample.len() < SAMPLE_ROWS { String::new() } else { self.lay_out() })
                    }
                }
            }
        }
    }

    /// What is left when all rows were written.
    pub fn finish(&mut self) -> String {
        if self.format != RowFormat::Table {
            return String::new();
        }
        let mut text = if self.widths.is_none() { self.lay_out() } else { String::new() };
        let _ = writeln!(text, "({} row{})", self.rows, if self.rows == 1 { "" } else { "s" });
        text
    }

    fn lay_out(&mut self) -> String {
        let names: Vec<_> = self.schema.fields().iter().map(|f| f.name().clone()).collect();
        let width = |column: usize| {
            let cells = self.sample.iter().filter_map(|row| row.get(column)).chain(names.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..names.len()).map(width).collect();
        let mut text = String::new();
        let header: Vec<_> = names.iter().zip(&widths).map(|(name, width)| format!(" {name:width$} ")).collect();
        let rule: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        let _ = writeln!(text, "{}\n{}", header.join("|").trim_end(), rule.join("+"));
        for row in std::mem::take(&mut self.sample) {
            text.push_str(&self.table_line(&row, &widths));
        }
        self.widths = Some(widths);
        text
    }

    fn table_line(&self, row: &[String], widths: &[usize]) -> String {
        let cells = row.iter().zip(widths).zip(self.schema.fields()).map(|((cell, width), field)| {
            if is_number(field.data_type()) { format!(" {cell:>width$} ") } else { format!(" {cell:width$} ") }
        });
        let line = cells.collect::<Vec<_>>().join("|");
        format!("{}\n", line.trim_end())
    }
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// Calls `take` with the column and text of every cell (`None` is null), row by row.
fn each_cell(batch: &RecordBatch, mut take: impl FnMut(usize, Option<&str>)) -> Result<()> {
    let options = FormatOptions::default();
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).map(|f| (column.logical_nulls(), f)))
        .collect::<std::result::Result<_, _>>()?;
    // One buffer for all cells: allocating each would take longer than formatting it.
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        for (place, (nulls, formatter)) in columns.iter().enumerate() {
            if nulls.as_ref().is_some_and(|n| n.is_null(row)) {
                take(place, None);
                continue;
            }
            text.clear();
            formatter.value(row).write(&mut text)?;
            take(place, Some(&text));
        }
    }
    Ok(())
}

/// Every row's cells for a table; null is empty.
fn table_cells(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let mut rows: Vec<Vec<String>> = Vec::with_capacity(batch.num_rows());
    each_cell(batch, |place, cell| {
        if place == 0 {
            rows.push(Vec::new());
        }
        if let Some(row) = rows.last_mut() {
            row.push(one_line(cell.unwrap_or_default()));
        }
    })?;
    Ok(rows)
}

/// Lines of CSV (RFC 4180). Null is an empty field, the empty string is `""`.
fn csv(batch: &RecordBatch) -> Result<String> {
    let mut text = String::new();
    let last = batch.num_columns().saturating_sub(1);
    each_cell(batch, |place, cell| {
        csv_field(&mut text, cell);
        text.push(if place == last { '\n' } else { ',' });
    })?;
    Ok(text)
}

fn csv_field(line: &mut String, field: Option<&str>) {
    match field {
        None => {}
        Some(text) if text.is_empty() || text.contains([',', '"', '\n', '\r']) => {
            line.push('"');
            line.push_str(&text.replace('"', "\"\""));
            line.push('"');
        }
        Some(text) => line.push_str(text),
    }
}

fn csv_head(schema: &SchemaRef) -> String {
    let mut line = String::new();
    for (place, field) in schema.fields().iter().enumerate() {
        if place > 0 {
            line.push(',');
        }
        csv_field(&mut line, Some(field.name()));
    }
    line.push('\n');
    line
}

/// Control characters would break a table's lines.
fn one_line(cell: &str) -> String {
    if cell.contains(char::is_control) { cell.escape_debug().to_string() } else { cell.to_owned() }
}

fn json(batch: &RecordBatch) -> Result<String> {
    let mut bytes = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut bytes);
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    String::from_utf8(bytes).map_err(|e| Error::internal("rows as JSON are not UTF-8").caused_by(e))
}

#[cfg(test)]
mod tests;
