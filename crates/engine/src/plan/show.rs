//! A [`ChangePlan`] for people.

use std::fmt;

use super::{ChangePlan, FlowPlan, FlowVerdict, TablePlan, TableVerdict};

impl FlowVerdict {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::New => "new",
            Self::Rebuilt => "rebuilt",
            Self::Refused => "refused",
            Self::Removed => "removed",
        }
    }
}

impl TableVerdict {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::New => "new",
            Self::Changed => "changed",
            Self::Rebuilt => "rebuilt",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for FlowPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = match (self.verdict, &self.position, self.epoch) {
            (FlowVerdict::Kept, Some(position), Some(epoch)) => format!("after epoch {epoch}, at {position}"),
            (FlowVerdict::Removed, _, _) => "its checkpoints stay, and are taken up when it comes back".to_owned(),
            (_, Some(position), _) => format!("from {position}"),
            _ => String::new(),
        };
        writeln!(f, "flow  {:<24} {:<8} {position}", self.flow, self.verdict.as_str())?;
        let behind = if self.verdict == FlowVerdict::Kept { "behind its state, from now on: " } else { "" };
        self.changes.iter().try_for_each(|change| writeln!(f, "        {behind}{change}"))?;
        self.reasons.iter().try_for_each(|reason| writeln!(f, "        {reason}"))?;
        self.command.iter().try_for_each(|command| writeln!(f, "        run: {command}"))
    }
}

impl fmt::Display for TablePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.verdict == TableVerdict::Removed { "its rows stay where they are" } else { "" };
        writeln!(f, "{}", format!("table {:<24} {:<8} {about}", self.table, self.verdict.as_str()).trim_end())?;
        if let (Some(was), Some(is)) = (&self.was, &self.is) {
            writeln!(f, "        was: {was}\n        is:  {is}")?;
        }
        self.command.iter().try_for_each(|command| writeln!(f, "        run: {command}"))
    }
}

impl fmt::Display for ChangePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.flows.iter().try_for_each(|flow| write!(f, "{flow}"))?;
        self.tables.iter().try_for_each(|table| write!(f, "{table}"))?;
        if self.is_another_pipeline {
            return writeln!(f, "\nNothing that is there is in this pipeline: it is another one's data directory.");
        }
        if self.is_kept() {
            return writeln!(f, "\nEverything that is there goes on.");
        }
        let commands = self.commands();
        write!(f, "\nBefore this pipeline can run, stop the one that runs, and run")?;
        commands.iter().try_for_each(|command| write!(f, "\n    {command}"))?;
        writeln!(f)
    }
}

impl ChangePlan {
    /// What keeps the pipeline from running, for people.
    #[must_use]
    pub fn obstacles(&self) -> String {
        let flows = self.flows.iter().filter(|f| matches!(f.verdict, FlowVerdict::Rebuilt | FlowVerdict::Refused));
        let tables = self.tables.iter().filter(|t| t.verdict == TableVerdict::Rebuilt);
        let lines: String = flows.map(ToString::to_string).chain(tables.map(ToString::to_string)).collect();
        format!(
            "{lines}run the old pipeline, take another data directory, or rebuild what has changed; `millstream plan` shows it beforehand"
        )
    }
}
