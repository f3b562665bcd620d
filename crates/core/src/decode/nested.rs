//! Nested values while they are read, whatever the format: what becomes of a part that doesn't fit.
//!
//! It spoils the array or map in which it stands; within a struct it spoils the struct, or (in permissive mode) becomes null there.

use super::column::{ColumnType, Member};
use super::shown;
use super::slot::{Slot, Spill};

/// Ends the struct that was opened at `base`: deals with what its members couldn't hold, and with what is missing.
pub(super) fn settled<'a>(base: usize, members: &[Member], spill: &mut Spill<'a>) -> Slot<'a> {
    let mut wrong = None;
    for (at, member) in members.iter().enumerate() {
        let Some(slot) = spill.part(base, at).copied() else { continue };
        let path = || format!(".{}", member.name);
        if is_wrong(slot) && spill.lenient && !member.required {
            spill.partial = true;
            if let Some(part) = spill.part(base, at) {
                *part = Slot::Null;
            }
        } else if is_wrong(slot) {
            wrong = wrong.or_else(|| Some(within(&path(), &member.kind, slot, spill)));
        } else if member.required && matches!(slot, Slot::Missing | Slot::Null) {
            wrong = wrong.or_else(|| Some(spill.misfit(path(), "is NOT NULL, and the record has no value for it".to_owned())));
        }
    }
    ended(base, wrong, spill)
}

pub(super) fn is_wrong(slot: Slot<'_>) -> bool {
    matches!(slot, Slot::Bad(_) | Slot::Misfit(_))
}

pub(super) fn ended<'a>(base: usize, wrong: Option<Slot<'a>>, spill: &mut Spill<'a>) -> Slot<'a> {
    match wrong {
        None => spill.close(base),
        Some(wrong) => {
            spill.abandon(base);
            wrong
        }
    }
}

/// `slot`, which is wrong, with the place where it stands within the value around it.
pub(super) fn within<'a>(path: &str, kind: &ColumnType, slot: Slot<'a>, spill: &mut Spill<'a>) -> Slot<'a> {
    match slot {
        Slot::Misfit(at) => {
            if let Some(misfit) = spill.misfits.get_mut(at) {
                misfit.path.insert_str(0, path);
            }
            slot
        }
        Slot::Bad(text) => spill.misfit(path.to_owned(), format!("{} does not fit {}", shown(text), kind.sql_name())),
        other => other,
    }
}
