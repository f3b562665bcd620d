//! Errors of a pipeline: each with its place, the line it stands in, and what to write instead.

use std::fmt;
use std::sync::Arc;

use datafusion::sql::sqlparser::tokenizer::{Location, Span};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, NamedSource, SourceCode, SourceSpan, SpanContents};

use crate::SourceFile;

/// Where something stands: a file of the pipeline, by index, and the range of lines and columns (from 1, the end exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) span: Span,
}

impl Place {
    pub(crate) fn new(file: usize, span: Span) -> Self {
        Self { file, span }
    }

    /// From the start of this to the end of `other`, which is in the same file.
    pub(crate) fn to(self, other: Self) -> Self {
        Self { file: self.file, span: self.span.union(&other.span) }
    }
}

/// The file that [`Problem::in_setting`] is about.
const CONFIGURATION: &str = "millstream.toml";

/// An error before its text is looked up: what is wrong, where, and the remedy.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) place: Place,
    /// The key of the configuration that is wrong; then `place` means nothing.
    setting: Option<Box<str>>,
}

impl Problem {
    pub(crate) fn new(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, place, setting: None }
    }

    /// What is wrong with `key` of the configuration.
    pub(crate) fn in_setting(code: &'static str, key: impl Into<String>, message: impl Into<String>) -> Self {
        // Behind all files, so that these come last.
        let nowhere = Place::new(usize::MAX, Span::empty());
        Self { setting: Some(key.into().into_boxed_str()), ..Self::new(code, nowhere, message) }
    }

    pub(crate) fn is_about_a_name(&self) -> bool {
        matches!(self.code, "millstream::unknown_column" | "millstream::ambiguous_column")
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The text of a pipeline, with the places of its lines.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    files: Vec<(Arc<SourceFile>, Vec<usize>)>,
}

impl Sources {
    pub(crate) fn new(files: &[SourceFile]) -> Self {
        let files = files
            .iter()
            .map(|file| {
                let starts = std::iter::once(0).chain(file.text.match_indices('\n').map(|(at, _)| at + 1)).collect();
                (Arc::new(file.clone()), starts)
            })
            .collect();
        Self { files }
    }

    pub(crate) fn name(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |(file, _)| &file.name)
    }

    /// The offset of a location in bytes; the end of the text for a place behind it.
    fn offset(&self, file: usize, at: Location) -> usize {
        let Some((source, lines)) = self.files.get(file) else { return 0 };
        let line = usize::try_from(at.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let column = usize::try_from(at.column.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(start) = lines.get(line) else { return source.text.len() };
        source.text[*start..].char_indices().nth(column).map_or(source.text.len(), |(offset, _)| start + offset)
    }

    pub(crate) fn diagnostic(&self, problem: Problem) -> Diagnostic {
        if let Some(key) = problem.setting {
            let message = format!("{key}: {}", problem.message);
            let (code, help) = (problem.code, problem.help);
            return Diagnostic {
                code,
                message,
                help,
                source: None,
                file: CONFIGURATION.to_owned(),
                line: 0,
                column: 0,
                span: (0, 0).into(),
            };
        }
        let Place { file, span } = problem.place;
        let start = self.offset(file, span.start);
        let end = self.offset(file, span.end).max(start);
        let text = self.files.get(file).map_or("", |(source, _)| source.text.as_str());
        Diagnostic {
            code: problem.code,
            message: problem.message,
            help: problem.help,
            source: Some(WholeLines::new(self.name(file), text)),
            file: self.name(file).to_owned(),
            line: span.start.line.max(1),
            column: span.start.column.max(1),
            span: SourceSpan::new(start.into(), end - start),
        }
    }

    pub(crate) fn diagnostics(&self, problems: impl IntoIterator<Item = Problem>) -> Diagnostics {
        let mut problems: Vec<_> = problems.into_iter().collect();
        problems.sort_by_key(|p| (p.place.file, p.place.span.start));
        problems.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        Diagnostics(problems.into_iter().map(|p| self.diagnostic(p)).collect())
    }
}

/// A file of which the lines that have a place are shown, whole and without their neighbours.
#[derive(Clone, Debug)]
struct WholeLines {
    text: Arc<str>,
    source: NamedSource<Arc<str>>,
}

impl WholeLines {
    fn new(name: &str, text: &str) -> Self {
        let text = Arc::<str>::from(text);
        Self { text: Arc::clone(&text), source: NamedSource::new(name, text) }
    }
}

impl SourceCode for WholeLines {
    fn read_span<'a>(&'a self, span: &SourceSpan, before: usize, after: usize) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        if before == 0 && after == 0 {
            return self.source.read_span(span, 0, 0);
        }
        let (from, to) = (span.offset(), span.offset() + span.len());
        let start = self.text.get(..from).and_then(|t| t.rfind('\n')).map_or(0, |newline| newline + 1);
        let end = self.text.get(to..).and_then(|t| t.find('\n')).map_or(self.text.len(), |newline| to + newline);
        self.source.read_span(&SourceSpan::new(start.into(), end - start), 0, 0)
    }
}

/// One error of a pipeline.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    code: &'static str,
    message: String,
    help: Option<String>,
    source: Option<WholeLines>,
    file: String,
    line: u64,
    column: u64,
    span: SourceSpan,
}

impl Diagnostic {
    /// The stable name of this kind of error: `millstream::unknown_column`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The file, as it was named to [`parse`](crate::parse); `millstream.toml` for what the configuration says, and then its line isn't known.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1; 0 for what the configuration says.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The column, from 1, in characters; 0 for what the configuration says.
    #[must_use]
    pub fn column(&self) -> u64 {
        self.column
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|s| s as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.span))))
    }
}

/// All errors of a pipeline, in the order of the text. Never empty.
#[derive(Clone, Debug)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Them one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Them as text for a terminal, each with its line and an underlined place; `colours` adds ANSI escapes.
    #[must_use]
    pub fn render(&self, colours: bool) -> String {
        let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(120).with_links(false).with_context_lines(1);
        let mut text = String::new();
        for (at, diagnostic) in self.0.iter().enumerate() {
            if at > 0 {
                text.push('\n');
            }
            if handler.render_report(&mut text, diagnostic).is_err() {
                text.push_str(&diagnostic.message);
                text.push('\n');
            }
        }
        text
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, d) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            if d.source.is_some() {
                write!(f, "{}:{}:{}: {}", d.file, d.line, d.column, d.message)?;
            } else {
                write!(f, "{}: {}", d.file, d.message)?;
            }
            if let Some(help) = &d.help {
                write!(f, " ({help})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
