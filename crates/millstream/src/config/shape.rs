//! Which settings a type takes, asked from the type itself: so that no setting can be taken and not known, or known and not taken.
//!
//! A struct tells the names of its fields to whoever deserializes it. [`settings`] deserializes again and again, each time along one
//! path of names, and breaks off at the path's end, where the type has said what it wants there.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::de::value::{Error, StrDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, Visitor};

/// In the place of a name that the user chooses: `tables.NAME.using`.
pub const ANY_NAME: &str = "NAME";

/// What a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string, or one of some words.
    Text,
    /// A file or folder.
    Path,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// A list.
    List,
    /// Values under names that the user chooses.
    Map,
    /// The place of a secret: `{ env = ... }` or `{ file = ... }`. The only setting that can be written in more than one way.
    Secret,
}

/// Every setting of `T` by its dotted name.
pub fn settings<T: DeserializeOwned>() -> BTreeMap<String, Kind> {
    let mut found = BTreeMap::new();
    let mut paths = vec![Vec::<&'static str>::new()];
    while let Some(path) = paths.pop() {
        let below = |name: &'static str| [path.as_slice(), &[name]].concat();
        match at::<T>(&path) {
            Some(Found::Section(names)) => paths.extend(names.iter().map(|name| below(name))),
            Some(Found::Setting(Kind::Map)) if matches!(at::<T>(&below(ANY_NAME)), Some(Found::Section(_))) => paths.push(below(ANY_NAME)),
            Some(Found::Setting(kind)) => {
                found.insert(path.join("."), kind);
            }
            None => {}
        }
    }
    found
}

/// What stands at the end of a path.
#[derive(Clone, Copy)]
enum Found {
    Section(&'static [&'static str]),
    Setting(Kind),
}

/// What `T` wants at `path`.
fn at<T: DeserializeOwned>(path: &[&'static str]) -> Option<Found> {
    let found = Cell::new(None);
    // It always fails: at the path's end, or for the settings that the path leaves out.
    let _ = T::deserialize(Walk { path, found: &found });
    found.get()
}

/// A deserializer that has one value only, at the end of `path`.
#[derive(Clone, Copy)]
struct Walk<'a> {
    path: &'a [&'static str],
    found: &'a Cell<Option<Found>>,
}

impl<'a> Walk<'a> {
    fn end<T>(self, kind: Kind) -> Result<T, Error> {
        if self.path.is_empty() {
            self.found.set(Some(Found::Setting(kind)));
        }
        Err(Error::custom("the path ends here"))
    }

    fn descend<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let (name, path) = self.path.split_first().ok_or_else(|| Error::custom("the path ends here"))?;
        visitor.visit_map(One { name: Some(name), rest: Walk { path, found: self.found } })
    }
}

/// The map of one entry that lies on the path.
struct One<'a> {
    name: Option<&'static str>,
    rest: Walk<'a>,
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let name: Option<StrDeserializer<'_, Error>> = self.name.take().map(IntoDeserializer::into_deserializer);
        name.map(|name| seed.deserialize(name)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.rest)
    }
}

macro_rules! ends {
    ($($method:ident => $kind:ident),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            self.end(Kind::$kind)
        })*
    };
}

impl<'de> Deserializer<'de> for Walk<'_> {
    type Error = Error;

    ends! {
        deserialize_any => Secret, deserialize_bool => Flag, deserialize_char => Text,
        deserialize_i8 => Number, deserialize_i16 => Number, deserialize_i32 => Number, deserialize_i64 => Number,
        deserialize_u8 => Number, deserialize_u16 => Number, deserialize_u32 => Number, deserialize_u64 => Number,
        deserialize_f32 => Number, deserialize_f64 => Number,
        deserialize_bytes => Text, deserialize_byte_buf => Text, deserialize_seq => List, deserialize_unit => Text,
        deserialize_identifier => Text, deserialize_ignored_any => Text,
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        // What a `PathBuf` calls what it wants.
        let wanted: &dyn Expected = &visitor;
        self.end(if wanted.to_string() == "path string" { Kind::Path } else { Kind::Text })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, _: V) -> Result<V::Value, Error> {
        self.end(Kind::Text)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        self.end(Kind::List)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, _: V) -> Result<V::Value, Error> {
        self.end(Kind::List)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], _: V) -> Result<V::Value, Error> {
        self.end(Kind::Text)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.path.is_empty() { self.end(Kind::Map) } else { self.descend(visitor) }
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        if self.path.is_empty() {
            self.found.set(Some(Found::Section(fields)));
            return Err(Error::custom("the path ends here"));
        }
        self.descend(visitor)
    }
}

#[cfg(test)]
mod tests;
