//! How values are written as text in a topic's records: what Spark's options for JSON and CSV decide. Read by [`decode`](crate::decode) and
//! [`encode`](crate::encode) alike.

use crate::pattern::TimePattern;

/// The patterns of times; `None`: what Spark does without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeFormats {
    /// `dateFormat`: of DATE.
    pub date: Option<TimePattern>,
    /// `timestampFormat`: of TIMESTAMP.
    pub timestamp: Option<TimePattern>,
    /// `timestampNTZFormat`: of TIMESTAMP_NTZ.
    pub timestamp_ntz: Option<TimePattern>,
}

/// How a line of CSV is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvStyle {
    /// `sep`: what stands between two values; not empty.
    pub separator: String,
    /// `quote`: an ASCII character around a value; `None`: values are never quoted.
    pub quote: Option<u8>,
    /// `escape`: an ASCII character before a quote within quotes.
    pub escape: Option<u8>,
    /// `nullValue`: what stands for null.
    pub null_value: String,
    /// `emptyValue`: what stands for an empty string; by default nothing in quotes.
    pub empty_value: Option<String>,
    /// `nanValue`: what stands for a number that is none.
    pub nan: String,
    /// `positiveInf`: what stands for infinity.
    pub positive_infinity: String,
    /// `negativeInf`: what stands for negative infinity.
    pub negative_infinity: String,
    /// `ignoreLeadingWhiteSpace`: whether white space before a value is left out when it is read.
    pub ignores_leading_space: bool,
    /// `ignoreTrailingWhiteSpace`: the same behind it.
    pub ignores_trailing_space: bool,
    /// Whether what is quoted is never null, and `emptyValue` without quotes is the empty string: so lines that Millstream wrote are read, which
    /// quotes whatever could be taken for something else. Spark takes nothing in quotes for `nullValue` too.
    pub exact: bool,
    /// Whether it is the style of `from_csv` and `to_csv`, which are Spark's to the letter where it can be. In a topic a value that breaks
    /// its quotes and a second line are malformed, and BINARY is Base64.
    pub of_function: bool,
    /// `quoteAll`: whether every value is written in quotes.
    pub quotes_all: bool,
}

impl Default for CsvStyle {
    fn default() -> Self {
        Self {
            separator: ",".to_owned(),
            quote: Some(b'"'),
            escape: Some(b'\\'),
            null_value: String::new(),
            empty_value: None,
            nan: "NaN".to_owned(),
            positive_infinity: "Inf".to_owned(),
            negative_infinity: "-Inf".to_owned(),
            ignores_leading_space: false,
            ignores_trailing_space: false,
            exact: false,
            of_function: false,
            quotes_all: false,
        }
    }
}

/// How text is written, whatever the format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextStyle {
    /// Patterns of times.
    pub times: TimeFormats,
    /// Lines of CSV.
    pub csv: CsvStyle,
}
