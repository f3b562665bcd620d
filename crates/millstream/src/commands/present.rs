//! Frames on the terminal: data to stdout, notes and progress to stderr.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use millstream_core::{Error, Result};

use crate::control::Frame;

/// Shows the frames of one answer.
#[derive(Default)]
pub struct Presenter {
    bar: Option<ProgressBar>,
}

impl Presenter {
    /// Shows `frame`.
    pub fn show(&mut self, frame: Frame) -> Result<()> {
        match frame {
            Frame::Data { text } => {
                self.clear();
                stdout(&text)
            }
            Frame::Note { text } => {
                self.clear();
                eprintln!("{text}");
                Ok(())
            }
            Frame::Progress { label, done, total } => {
                let bar = self.bar.get_or_insert_with(|| bar("{msg} {bar:30} {pos}/{len}"));
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(label);
                Ok(())
            }
            Frame::End { .. } | Frame::Failed { .. } => Ok(()),
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Presenter {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A progress bar on stderr; nothing where stderr is no terminal.
pub fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

/// Writes `text` to stdout. A reader that has gone away (`| head`) ends the command quietly.
pub fn stdout(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.map_err(|e| Error::from(e).context("stdout can't be written")),
    }
}
