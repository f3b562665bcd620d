//! Where the values of a record wait until the whole record is known to be good: [`Slot`], and [`Spill`] for what isn't a slice of the record.

/// A value of the record that is being decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Slot<'a> {
    /// The record doesn't name the column.
    Missing,
    Null,
    /// An integer, days, microseconds, or a boolean as 0 or 1: every payload is a whole word, for copying an enum with a payload of one
    /// byte stalls (it cost a third of the decoder's time).
    Int(i64),
    /// A DOUBLE; of a FLOAT column, a value that `f32` holds exactly.
    Double(f64),
    /// An unscaled decimal.
    Decimal(i128),
    /// A slice of the record.
    Text(&'a str),
    /// A slice of the record.
    Bytes(&'a [u8]),
    /// A range of [`Spill::text`].
    SpiltText(usize, usize),
    /// A range of [`Spill::bytes`].
    SpiltBytes(usize, usize),
    /// An array, a struct or a map: a range of [`Spill::tape`] with its items, its fields, or its keys and values by turns.
    Nested(usize, usize),
    /// A value that the column can't hold: its text.
    Bad(&'a str),
    /// A nested value that the column can't hold: the place in [`Spill::misfits`].
    Misfit(usize),
}

/// A value within a nested one that doesn't fit.
#[derive(Debug)]
pub(super) struct Misfit {
    /// Where it is within the column: `.legs[2].from`.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Values of one record that aren't slices of it: unescaped strings, decoded base64, nested values. Reused from record to record.
#[derive(Debug, Default)]
pub(super) struct Spill<'a> {
    pub text: String,
    pub bytes: Vec<u8>,
    /// The nested values that are complete, each in one run.
    pub tape: Vec<Slot<'a>>,
    /// The nested values that are being read.
    stack: Vec<Slot<'a>>,
    pub misfits: Vec<Misfit>,
    /// Whether what doesn't fit within a struct becomes null there (Spark's permissive mode), and the rest of the struct stays.
    pub lenient: bool,
    /// Whether that happened.
    pub partial: bool,
}

impl<'a> Spill<'a> {
    pub(super) fn new(lenient: bool) -> Self {
        Self { lenient, ..Self::default() }
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.bytes.clear();
        self.tape.clear();
        self.stack.clear();
        self.misfits.clear();
        self.partial = false;
    }

    /// Begins a nested value; what it returns ends it.
    pub(super) fn open(&self) -> usize {
        self.stack.len()
    }

    /// Adds a part to the nested value that was opened last.
    pub(super) fn push(&mut self, slot: Slot<'a>) {
        self.stack.push(slot);
    }

    /// The `index`th part of the value that was opened at `base`.
    pub(super) fn part(&mut self, base: usize, index: usize) -> Option<&mut Slot<'a>> {
        self.stack.get_mut(base + index)
    }

    /// Ends the nested value that was opened at `base`.
    pub(super) fn close(&mut self, base: usize) -> Slot<'a> {
        let start = self.tape.len();
        self.tape.extend(self.stack.drain(base..));
        Slot::Nested(start, self.tape.len())
    }

    /// Gives up the nested value that was opened at `base`.
    pub(super) fn abandon(&mut self, base: usize) {
        self.stack.truncate(base);
    }

    /// The parts of a nested value.
    pub(super) fn parts(&self, start: usize, end: usize) -> &[Slot<'a>] {
        self.tape.get(start..end).unwrap_or_default()
    }

    /// Keeps a text that doesn't outlive the call.
    pub(super) fn keep_text(&mut self, text: &str) -> Slot<'a> {
        let start = self.text.len();
        self.text.push_str(text);
        Slot::SpiltText(start, self.text.len())
    }

    /// A value within a nested one doesn't fit.
    pub(super) fn misfit(&mut self, path: String, problem: String) -> Slot<'a> {
        self.misfits.push(Misfit { path, problem });
        Slot::Misfit(self.misfits.len() - 1)
    }
}
