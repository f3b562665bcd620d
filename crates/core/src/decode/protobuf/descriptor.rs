//! What a descriptor file says of messages: the `FileDescriptorSet` that `protoc --include_imports --descriptor_set_out` writes, which is a message
//! itself (`descriptor.proto`, whose numbers stand here).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::wire::{Fields, Malformed, Wire};

/// A message type with all that it is made of.
#[derive(Clone)]
pub struct ProtobufMessage {
    name: String,
    pub(crate) messages: Arc<[Message]>,
    pub(crate) root: usize,
}

/// A message type.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Message {
    pub name: String,
    pub fields: Vec<Field>,
    /// Whether it stands for an entry of a map.
    pub map_entry: bool,
    /// Whether it, one of its fields or its file sets features of an edition, which change how it is written.
    pub features: bool,
}

/// A field of a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub name: String,
    pub number: u32,
    pub repeated: bool,
    /// Whether a value that is left out differs from zero.
    pub presence: bool,
    /// proto2's label: it has to be there.
    pub required: bool,
    /// Whether several numbers are written behind one tag.
    pub packed: bool,
    /// Which `oneof` of its message it is in.
    pub oneof: Option<u64>,
    pub kind: Kind,
    /// proto2's default, as text.
    pub default: Option<String>,
}

/// A field's type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Double,
    Float,
    Int64,
    UInt64,
    Int32,
    Fixed64,
    Fixed32,
    Bool,
    String,
    Bytes,
    UInt32,
    SFixed32,
    SFixed64,
    SInt32,
    SInt64,
    /// Names by number.
    Enum(Arc<[(i32, String)]>),
    /// A place in [`ProtobufMessage::messages`].
    Message(usize),
    Group,
}

impl fmt::Debug for ProtobufMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.name, self.messages)
    }
}

impl PartialEq for ProtobufMessage {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.root, &self.messages) == (&other.name, other.root, &other.messages)
    }
}

impl Eq for ProtobufMessage {}

impl ProtobufMessage {
    /// The message type `name` (with its package, or without where no other has it) of a descriptor file; the error says why there is none.
    pub fn try_new(descriptor: &[u8], name: &str) -> Result<Self, String> {
        let mut set = Set::default();
        set.read(descriptor).map_err(|e| format!("it is no descriptor file: {} at byte {}", e.what, e.at))?;
        let (messages, names) = set.resolved()?;
        let matches: Vec<&String> =
            names.keys().filter(|full| full.trim_start_matches('.') == name || full.ends_with(&format!(".{name}"))).collect();
        let exact = names.get(&format!(".{name}"));
        let root = match (exact, matches.as_slice()) {
            (Some(root), _) => *root,
            (None, [one]) => names.get(*one).copied().unwrap_or_default(),
            (None, []) => {
                let mut known: Vec<&str> = names.keys().map(|n| n.trim_start_matches('.')).collect();
                known.sort_unstable();
                known.truncate(20);
                return Err(format!("it has no message {name}; it has {}", known.join(", ")));
            }
            (None, _) => return Err(format!("several packages have a message {name}: write its package, too")),
        };
        if let Some(message) = within(&messages, root).into_iter().find(|message| message.features) {
            return Err(format!(
                "the message {} is of an edition of Protobuf and sets `features` of its own, which can't be read yet: leave them out, or write it with \
                 syntax = \"proto3\"",
                message.name
            ));
        }
        Ok(Self { name: name.to_owned(), messages: messages.into(), root })
    }

    /// The name by which it was asked for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What decides how the fields that become `columns` are read: a line for each field of those names, and of the message types within them. The
    /// same for another descriptor file that only differs in other fields. Its digest is stored: it stays as it is.
    #[must_use]
    pub fn outline(&self, columns: &[&str]) -> String {
        let is_column = |field: &&Field| columns.iter().any(|column| column.eq_ignore_ascii_case(&field.name));
        let mut lines = Vec::new();
        // Message types in the order in which they are met: their places in the descriptor file mean nothing.
        let mut met = vec![self.root];
        let mut at = 0;
        while let Some(message) = met.get(at).and_then(|place| self.messages.get(*place)) {
            let mut fields: Vec<&Field> = message.fields.iter().filter(|field| at > 0 || is_column(field)).collect();
            fields.sort_by_key(|field| field.number);
            for field in fields {
                let kind = match &field.kind {
                    Kind::Message(inner) => {
                        let place = met.iter().position(|known| known == inner).unwrap_or_else(|| {
                            met.push(*inner);
                            met.len() - 1
                        });
                        format!("message {place}")
                    }
                    kind => format!("{kind:?}"),
                };
                let Field { name, number, repeated, presence, default, .. } = field;
                let default = default.as_deref().unwrap_or_default();
                lines.push(format!("{at}: {number} {name} {kind} repeated {repeated} presence {presence} default {default}"));
            }
            at += 1;
        }
        lines.join("\n")
    }
}

/// The message types that one at `root` is made of, itself first.
fn within(messages: &[Message], root: usize) -> Vec<&Message> {
    let mut met = vec![root];
    let mut at = 0;
    while let Some(message) = met.get(at).and_then(|place| messages.get(*place)) {
        for field in &message.fields {
            if let Kind::Message(inner) = field.kind
                && !met.contains(&inner)
            {
                met.push(inner);
            }
        }
        at += 1;
    }
    met.into_iter().filter_map(|place| messages.get(place)).collect()
}

/// The files of a descriptor while they are read; types are still names.
#[derive(Default)]
struct Set {
    messages: Vec<(String, Message, Vec<Named>)>,
    enums: HashMap<String, Vec<(i32, String)>>,
}

/// How the messages of a file are written, where they don't say it themselves.
#[derive(Clone, Copy)]
struct Rules {
    /// Whether a plain field that is left out differs from zero.
    presence: bool,
    /// Whether several numbers are written behind one tag.
    packed: bool,
    /// Whether the file sets features of an edition.
    features: bool,
}

impl Rules {
    /// Of a file; one without a syntax is of proto2.
    fn of(syntax: &str, features: bool) -> Self {
        Self { presence: syntax != "proto3", packed: matches!(syntax, "proto3" | "editions"), features }
    }
}

/// What a field says of its type.
#[derive(Default)]
struct Named {
    kind: u64,
    type_name: String,
}

type Outcome<T> = Result<T, Malformed>;

fn text(wire: Wire<'_>) -> String {
    match wire {
        Wire::Counted(bytes, _) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

/// Calls `each` for every field of the message `bytes`.
fn each<'a>(bytes: &'a [u8], start: usize, mut each: impl FnMut(u32, Wire<'a>) -> Outcome<()>) -> Outcome<()> {
    let mut fields = Fields::new(bytes, start);
    while let Some((number, wire)) = fields.next()? {
        each(number, wire)?;
    }
    Ok(())
}

impl Set {
    fn read(&mut self, descriptor: &[u8]) -> Outcome<()> {
        each(descriptor, 0, |number, wire| match (number, wire) {
            (1, Wire::Counted(file, at)) => self.file(file, at),
            _ => Ok(()),
        })
    }

    fn file(&mut self, bytes: &[u8], start: usize) -> Outcome<()> {
        let (mut package, mut syntax, mut features) = (String::new(), String::new(), false);
        each(bytes, start, |number, wire| {
            match (number, wire) {
                (2, wire) => package = text(wire),
                (8, Wire::Counted(options, at)) => features |= has(options, at, 50)?,
                (12, wire) => syntax = text(wire),
                _ => {}
            }
            Ok(())
        })?;
        let rules = Rules::of(&syntax, features);
        let scope = if package.is_empty() { String::new() } else { format!(".{package}") };
        each(bytes, start, |number, wire| match (number, wire) {
            (4, Wire::Counted(message, at)) => self.message(message, at, &scope, rules, 0),
            (5, Wire::Counted(named, at)) => self.enumeration(named, at, &scope),
            _ => Ok(()),
        })
    }

    fn message(&mut self, bytes: &[u8], start: usize, scope: &str, rules: Rules, depth: u32) -> Outcome<()> {
        if depth > 60 {
            return Err(Malformed { at: start, what: "messages are nested too deep" });
        }
        let mut message = Message { features: rules.features, ..Message::default() };
        each(bytes, start, |number, wire| {
            if number == 1 {
                message.name = text(wire);
            }
            Ok(())
        })?;
        let full = format!("{scope}.{}", message.name);
        let mut types = Vec::new();
        each(bytes, start, |number, wire| {
            match (number, wire) {
                (2, Wire::Counted(field, at)) => {
                    let (field, named, features) = field_of(field, at, rules)?;
                    message.features |= features;
                    message.fields.push(field);
                    types.push(named);
                }
                (3, Wire::Counted(nested, at)) => self.message(nested, at, &full, rules, depth + 1)?,
                (4, Wire::Counted(named, at)) => self.enumeration(named, at, &full)?,
                (7, Wire::Counted(options, at)) => each(options, at, |number, wire| {
                    message.map_entry |= number == 7 && wire == Wire::Varint(1);
                    message.features |= number == 12;
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })?;
        self.messages.push((full, message, types));
        Ok(())
    }

    fn enumeration(&mut self, bytes: &[u8], start: usize, scope: &str) -> Outcome<()> {
        let (mut name, mut values) = (String::new(), Vec::new());
        each(bytes, start, |number, wire| {
            match (number, wire) {
                (1, wire) => name = text(wire),
                (2, Wire::Counted(value, at)) => {
                    let (mut symbol, mut of) = (String::new(), 0);
                    each(value, at, |number, wire| {
                        match (number, wire) {
                            (1, wire) => symbol = text(wire),
                            (2, Wire::Varint(number)) => of = int32(number),
                            _ => {}
                        }
                        Ok(())
                    })?;
                    values.push((of, symbol));
                }
                _ => {}
            }
            Ok(())
        })?;
        self.enums.insert(format!("{scope}.{name}"), values);
        Ok(())
    }

    /// The messages with their types found, and the places of their names.
    fn resolved(self) -> Result<(Vec<Message>, HashMap<String, usize>), String> {
        let names: HashMap<String, usize> = self.messages.iter().enumerate().map(|(at, (full, ..))| (full.clone(), at)).collect();
        let enums: HashMap<String, Arc<[(i32, String)]>> = self.enums.into_iter().map(|(name, values)| (name, values.into())).collect();
        let mut messages = Vec::with_capacity(self.messages.len());
        for (full, mut message, types) in self.messages {
            for (field, named) in message.fields.iter_mut().zip(types) {
                let absent = || format!("{full}.{}: its type {} is not in the file: use --include_imports", field.name, named.type_name);
                field.kind = match named.kind {
                    11 => Kind::Message(*names.get(&named.type_name).ok_or_else(absent)?),
                    14 => Kind::Enum(enums.get(&named.type_name).ok_or_else(absent)?.clone()),
                    other => scalar(other).ok_or_else(|| format!("{full}.{}: there is no type {other}", field.name))?,
                };
                field.presence |= matches!(field.kind, Kind::Message(_)) && !field.repeated;
            }
            messages.push(message);
        }
        Ok((messages, names))
    }
}

/// Whether the message `bytes` has a field of this number.
fn has(bytes: &[u8], start: usize, wanted: u32) -> Outcome<bool> {
    let mut found = false;
    each(bytes, start, |number, _| {
        found |= number == wanted;
        Ok(())
    })?;
    Ok(found)
}

/// A field, its type's name, and whether it sets features of an edition.
fn field_of(bytes: &[u8], start: usize, rules: Rules) -> Outcome<(Field, Named, bool)> {
    let mut field = Field {
        name: String::new(),
        number: 0,
        repeated: false,
        presence: rules.presence,
        required: false,
        packed: rules.packed,
        oneof: None,
        kind: Kind::Group,
        default: None,
    };
    let (mut named, mut features) = (Named::default(), false);
    each(bytes, start, |number, wire| {
        match (number, wire) {
            (1, wire) => field.name = text(wire),
            (3, Wire::Varint(number)) => field.number = u32::try_from(number).unwrap_or_default(),
            (4, Wire::Varint(label)) => (field.required, field.repeated) = (label == 2, label == 3),
            (5, Wire::Varint(kind)) => named.kind = kind,
            (6, wire) => named.type_name = text(wire),
            (7, wire) => field.default = Some(text(wire)),
            (8, Wire::Counted(options, at)) => each(options, at, |number, wire| {
                match (number, wire) {
                    (2, Wire::Varint(packed)) => field.packed = packed != 0,
                    (21, _) => features = true,
                    _ => {}
                }
                Ok(())
            })?,
            // A member of a oneof has presence, and so has proto3's `optional`, which is one.
            (9, Wire::Varint(oneof)) => (field.presence, field.oneof) = (true, Some(oneof)),
            _ => {}
        }
        Ok(())
    })?;
    field.presence &= !field.repeated;
    Ok((field, named, features))
}

fn scalar(kind: u64) -> Option<Kind> {
    Some(match kind {
        1 => Kind::Double,
        2 => Kind::Float,
        3 => Kind::Int64,
        4 => Kind::UInt64,
        5 => Kind::Int32,
        6 => Kind::Fixed64,
        7 => Kind::Fixed32,
        8 => Kind::Bool,
        9 => Kind::String,
        10 => Kind::Group,
        12 => Kind::Bytes,
        13 => Kind::UInt32,
        15 => Kind::SFixed32,
        16 => Kind::SFixed64,
        17 => Kind::SInt32,
        18 => Kind::SInt64,
        _ => return None,
    })
}

/// The 32 low bits of a varint, as a signed number.
#[expect(clippy::cast_possible_truncation, reason = "the wire format cuts an int32 to its low bits")]
pub(crate) fn int32(varint: u64) -> i32 {
    varint as i32
}
