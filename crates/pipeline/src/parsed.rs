//! The two steps of the language: read the text, then check it with the columns of the reference tables.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;

use crate::check::{self, formats, references};
use crate::diagnostic::{Diagnostics, Problem, Sources};
use crate::graph::{Pipeline, Reference};
use crate::surroundings::Surroundings;
use crate::syntax::functions::{self, Functions};
use crate::syntax::statement::Statement;
use crate::syntax::{heads, lexer};

/// A file of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path: shown in errors, and the folder from which a relative `LOCATION` counts.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The statements of a pipeline, read but not yet checked.
#[derive(Debug)]
pub struct Parsed {
    pub(crate) sources: Sources,
    /// Each with the index of its file.
    pub(crate) statements: Vec<(usize, Statement)>,
    /// The functions of the pipeline, which the statements no longer call.
    pub(crate) functions: Functions,
    pub(crate) surroundings: Surroundings,
}

/// Reads the files of a pipeline. Pure: no file is opened.
///
/// # Errors
/// Every statement that can't be read, with its place.
pub fn parse(files: &[SourceFile]) -> Result<Parsed, Diagnostics> {
    let sources = Sources::new(files);
    let mut statements = Vec::new();
    let mut problems: Vec<Problem> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        match lexer::tokenize(index, &file.text) {
            Err(problem) => problems.push(problem),
            Ok(tokens) => {
                for statement in lexer::split_statements(tokens) {
                    match heads::parse(index, &statement) {
                        Ok(statement) => statements.push((index, statement)),
                        Err(problem) => problems.push(problem),
                    }
                }
            }
        }
    }
    let functions = functions::write_out(&mut statements, &mut problems);
    if problems.is_empty() {
        Ok(Parsed { sources, statements, functions, surroundings: Surroundings::default() })
    } else {
        Err(sources.diagnostics(problems))
    }
}

impl Parsed {
    /// The same pipeline under a configuration: tables that are bound elsewhere, and systems of other abilities.
    #[must_use]
    pub fn within(mut self, surroundings: Surroundings) -> Self {
        self.surroundings = surroundings;
        self
    }

    /// The reference tables, in the order of the text: name, where its data lies (after rebinding), and the columns if the statement declares them.
    /// Of those without declared columns the caller finds out the schema, and hands it to [`check`](Self::check). Tables whose
    /// statement is wrong are left out: `check` says what is wrong with them.
    #[must_use]
    pub fn references(&self) -> Vec<(String, Reference, Option<SchemaRef>)> {
        self.statements
            .iter()
            .filter_map(|(file, statement)| match statement {
                Statement::Table(head) => references::found(self, *file, head),
                _ => None,
            })
            .collect()
    }

    /// The files that topics name (`avroSchemaFile`, `descriptor`), by path. The caller reads them, and hands them to [`within`](Self::within).
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let heads = self.statements.iter().filter_map(|(file, statement)| match statement {
            Statement::Table(head) | Statement::StreamingTable(head, _) => Some((*file, head)),
            _ => None,
        });
        heads.flat_map(|(file, head)| formats::files(&self.sources, file, head)).collect()
    }

    /// Checks everything and gives the graph.
    ///
    /// `reference_schemas` has the schema of each reference table that declares no columns, or why it could not be read.
    ///
    /// # Errors
    /// All errors, in the order of the text.
    pub fn check(self, reference_schemas: &BTreeMap<String, Result<SchemaRef, String>>) -> Result<Pipeline, Diagnostics> {
        check::check(&self, reference_schemas).map_err(|problems| self.sources.diagnostics(problems))
    }
}
