//! Frames of the native protocol, version 4, as a server reads and writes them (`native_protocol_v4.spec`): only what the peer needs.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub const ERROR: u8 = 0x00;
pub const STARTUP: u8 = 0x01;
pub const READY: u8 = 0x02;
pub const AUTHENTICATE: u8 = 0x03;
pub const OPTIONS: u8 = 0x05;
pub const SUPPORTED: u8 = 0x06;
pub const QUERY: u8 = 0x07;
pub const RESULT: u8 = 0x08;
pub const PREPARE: u8 = 0x09;
pub const EXECUTE: u8 = 0x0A;
pub const REGISTER: u8 = 0x0B;
pub const BATCH: u8 = 0x0D;
pub const AUTH_RESPONSE: u8 = 0x0F;
pub const AUTH_SUCCESS: u8 = 0x10;

/// The version byte of a response.
const RESPONSE: u8 = 0x84;

/// A value as it comes with a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    Bytes(Vec<u8>),
    Null,
    Unset,
}

impl Bound {
    pub fn bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

/// What comes with a statement beside its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    pub values: Vec<Bound>,
    pub consistency: u16,
    pub serial_consistency: Option<u16>,
    pub page_size: Option<i32>,
    pub paging_state: Option<Vec<u8>>,
}

/// A request: its stream, its opcode, its body.
pub struct Request {
    pub stream: i16,
    pub opcode: u8,
    pub body: Vec<u8>,
}

/// The next request; `None` at the end of the connection.
pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Request>> {
    let mut header = [0; 9];
    match from.read_exact(&mut header).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other.map(drop)?,
    }
    let length = u32::from_be_bytes(header[5..9].try_into().unwrap());
    let mut body = vec![0; usize::try_from(length).unwrap()];
    from.read_exact(&mut body).await?;
    Ok(Some(Request { stream: i16::from_be_bytes([header[2], header[3]]), opcode: header[4], body }))
}

pub async fn write(to: &mut (impl AsyncWrite + Unpin), stream: i16, opcode: u8, body: &[u8]) -> io::Result<()> {
    let mut frame = vec![RESPONSE, 0];
    frame.extend(stream.to_be_bytes());
    frame.push(opcode);
    frame.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    frame.extend(body);
    to.write_all(&frame).await
}

/// Reads a body from its beginning on.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(length);
        self.0 = rest;
        head
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    pub fn int(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    pub fn long_string(&mut self) -> String {
        let length = usize::try_from(self.int()).unwrap();
        String::from_utf8(self.take(length).to_vec()).unwrap()
    }

    pub fn short_bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.short());
        self.take(length).to_vec()
    }

    pub fn value(&mut self) -> Bound {
        match self.int() {
            -1 => Bound::Null,
            -2 => Bound::Unset,
            length => Bound::Bytes(self.take(usize::try_from(length).unwrap()).to_vec()),
        }
    }

    pub fn values(&mut self) -> Vec<Bound> {
        (0..self.short()).map(|_| self.value()).collect()
    }

    /// The parameters of QUERY and EXECUTE.
    pub fn parameters(&mut self) -> Parameters {
        let consistency = self.short();
        let flags = self.byte();
        Parameters {
            consistency,
            values: if flags & 0x01 == 0 { Vec::new() } else { self.values() },
            page_size: (flags & 0x04 != 0).then(|| self.int()),
            paging_state: (flags & 0x08 != 0).then(|| self.value().bytes().unwrap().to_vec()),
            serial_consistency: (flags & 0x10 != 0).then(|| self.short()),
        }
    }
}

pub fn string(to: &mut Vec<u8>, text: &str) {
    to.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    to.extend(text.as_bytes());
}

pub fn int(to: &mut Vec<u8>, number: usize) {
    to.extend(i32::try_from(number).unwrap().to_be_bytes());
}

pub fn bytes(to: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => to.extend((-1_i32).to_be_bytes()),
        Some(value) => {
            int(to, value.len());
            to.extend(value);
        }
    }
}

/// A CQL type by its name, as an option of a column's specification.
pub fn cql_type(to: &mut Vec<u8>, name: &str) {
    if let Some((kind, inner)) = name.strip_suffix('>').and_then(|n| n.split_once('<')) {
        let code: Option<u16> = match kind {
            "list" => Some(0x20),
            "map" => Some(0x21),
            "set" => Some(0x22),
            _ => None,
        };
        code.iter().for_each(|code| to.extend(code.to_be_bytes()));
        return inner.split(',').for_each(|inner| cql_type(to, inner));
    }
    let code: u16 = match name {
        "bigint" => 0x02,
        "blob" => 0x03,
        "boolean" => 0x04,
        "double" => 0x07,
        "int" => 0x09,
        "timestamp" => 0x0B,
        "uuid" => 0x0C,
        "text" => 0x0D,
        "inet" => 0x10,
        "date" => 0x11,
        "tinyint" => 0x14,
        other => panic!("the peer knows no type {other}"),
    };
    to.extend(code.to_be_bytes());
}
