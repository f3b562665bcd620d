//! Walks over a request's bytes by a table of its fields, and checks that every length and count is backed by bytes that are
//! there. It builds nothing, so that nothing that a client sends can make it reserve memory.

use super::versions::Supported;

/// Elements that all arrays of a request may have together: a decoded element needs far more memory than its bytes.
const ELEMENTS_MAX: usize = 200_000;
const API_KEY_VERSION_CORRELATION_LEN: usize = 8;

/// What a field looks like in the bytes.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// So many bytes.
    Fixed(usize),
    /// A string behind its length, nullable or not.
    Text,
    /// Bytes behind their length, nullable or not.
    Blob,
    /// An array of plain values.
    Each(&'static Shape),
    /// An array of structures.
    List(&'static [Field]),
}

/// A field, in the versions that have it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    shape: Shape,
    min: i16,
    max: i16,
}

/// A field of all versions.
pub const fn always(shape: Shape) -> Field {
    Field { shape, min: 0, max: i16::MAX }
}

/// A field of `min` and all later versions.
pub const fn from(min: i16, shape: Shape) -> Field {
    Field { shape, min, max: i16::MAX }
}

/// A field of the versions from `min` to `max`.
pub const fn between(min: i16, max: i16, shape: Shape) -> Field {
    Field { shape, min, max }
}

/// What is wrong with a request's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    #[error("it ends in the middle of a field")]
    CutOff,
    #[error("a length or count is larger than the request itself")]
    Length,
    #[error("it lists more than {ELEMENTS_MAX} things")]
    Elements,
}

/// Checks the `frame` of a request (header and body). What stands behind the body isn't looked at.
pub fn check(frame: &[u8], served: &Supported, version: i16, header_version: i16) -> Result<(), ShapeError> {
    let mut walk = Walk { bytes: frame, version, flexible: false, elements_left: ELEMENTS_MAX };
    walk.skip(API_KEY_VERSION_CORRELATION_LEN)?;
    // The header's client id keeps its long length in all versions.
    walk.shape(&Shape::Text)?;
    if header_version >= 2 {
        walk.tagged_fields()?;
    }
    walk.flexible = version >= served.flexible_from;
    walk.structure(served.fields)
}

struct Walk<'a> {
    bytes: &'a [u8],
    version: i16,
    flexible: bool,
    elements_left: usize,
}

impl Walk<'_> {
    fn structure(&mut self, fields: &[Field]) -> Result<(), ShapeError> {
        let version = self.version;
        for field in fields.iter().filter(|f| (f.min..=f.max).contains(&version)) {
            self.shape(&field.shape)?;
        }
        if self.flexible { self.tagged_fields() } else { Ok(()) }
    }

    fn shape(&mut self, shape: &Shape) -> Result<(), ShapeError> {
        match shape {
            Shape::Fixed(len) => self.skip(*len),
            Shape::Text => {
                let len = if self.flexible { self.compact_len()? } else { self.plain_len::<2>()? };
                self.skip(len)
            }
            Shape::Blob => {
                let len = if self.flexible { self.compact_len()? } else { self.plain_len::<4>()? };
                self.skip(len)
            }
            Shape::Each(element) => {
                for _ in 0..self.count()? {
                    self.shape(element)?;
                }
                Ok(())
            }
            Shape::List(fields) => {
                for _ in 0..self.count()? {
                    self.structure(fields)?;
                }
                Ok(())
            }
        }
    }

    fn count(&mut self) -> Result<usize, ShapeError> {
        let count = if self.flexible { self.compact_len()? } else { self.plain_len::<4>()? };
        if count > self.bytes.len() {
            return Err(ShapeError::Length);
        }
        self.elements_left = self.elements_left.checked_sub(count).ok_or(ShapeError::Elements)?;
        Ok(count)
    }

    fn skip(&mut self, len: usize) -> Result<(), ShapeError> {
        self.bytes = self.bytes.get(len..).ok_or(ShapeError::CutOff)?;
        Ok(())
    }

    /// A length of `N` bytes; -1 is null, which has no bytes either.
    fn plain_len<const N: usize>(&mut self) -> Result<usize, ShapeError> {
        let (len, rest) = self.bytes.split_first_chunk::<N>().ok_or(ShapeError::CutOff)?;
        self.bytes = rest;
        if len.iter().all(|b| *b == 0xff) {
            return Ok(0);
        }
        if len[0] & 0x80 != 0 {
            return Err(ShapeError::Length);
        }
        Ok(len.iter().fold(0, |sum, b| (sum << 8) | usize::from(*b)))
    }

    /// A length plus one, as a varint; 0 is null.
    fn compact_len(&mut self) -> Result<usize, ShapeError> {
        Ok(self.unsigned()?.saturating_sub(1))
    }

    fn unsigned(&mut self) -> Result<usize, ShapeError> {
        let mut value = 0_usize;
        for shift in [0, 7, 14, 21, 28] {
            let (byte, rest) = self.bytes.split_first().ok_or(ShapeError::CutOff)?;
            self.bytes = rest;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ShapeError::Length)
    }

    fn tagged_fields(&mut self) -> Result<(), ShapeError> {
        let count = self.unsigned()?;
        self.elements_left = self.elements_left.checked_sub(count).ok_or(ShapeError::Elements)?;
        for _ in 0..count {
            self.unsigned()?;
            let len = self.unsigned()?;
            self.skip(len)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
