//! The four compressions of a record batch, read with a bound: a block that grows beyond it is refused, never buffered whole.

use std::fmt;
use std::io::Read;

use super::{BatchError, DECOMPRESSED_BYTES_MAX};

/// How a batch's records are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, framed as the Java client does (xerial) or raw as librdkafka does.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 8878.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "uncompressed",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

impl Compression {
    /// The compression with the code of a batch's attributes.
    pub fn from_code(code: i16) -> Result<Self, BatchError> {
        match code {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            other => Err(BatchError::Compression(other)),
        }
    }

    /// The bytes that `block` stands for.
    pub(super) fn decompress(self, block: &[u8]) -> Result<Vec<u8>, BatchError> {
        let failed = |e: std::io::Error| BatchError::Decompress { codec: self, reason: e.to_string() };
        match self {
            Self::None => Ok(block.to_vec()),
            Self::Gzip => self.read_bounded(flate2::read::MultiGzDecoder::new(block), block.len()),
            Self::Snappy => self.snappy(block),
            Self::Lz4 => self.read_bounded(lz4::Decoder::new(block).map_err(failed)?, block.len()),
            Self::Zstd => self.read_bounded(zstd::stream::read::Decoder::with_buffer(block).map_err(failed)?, block.len()),
        }
    }

    fn read_bounded(self, decoder: impl Read, compressed_len: usize) -> Result<Vec<u8>, BatchError> {
        let mut out = Vec::with_capacity(compressed_len.saturating_mul(4).min(1 << 20));
        let read = decoder.take(DECOMPRESSED_BYTES_MAX as u64 + 1).read_to_end(&mut out);
        match read {
            Ok(n) if n > DECOMPRESSED_BYTES_MAX => Err(BatchError::TooLarge),
            Ok(_) => Ok(out),
            Err(e) => Err(BatchError::Decompress { codec: self, reason: e.to_string() }),
        }
    }

    /// Xerial's stream: 16 bytes of magic and versions, then blocks, each behind its length. Without the magic: one raw block.
    fn snappy(self, block: &[u8]) -> Result<Vec<u8>, BatchError> {
        const MAGIC: &[u8] = b"\x82SNAPPY\0";
        const STREAM_HEADER_LEN: usize = 16;
        let mut out = Vec::new();
        if !block.starts_with(MAGIC) {
            self.snappy_block(block, &mut out)?;
            return Ok(out);
        }
        let mut rest = block.get(STREAM_HEADER_LEN..).unwrap_or_default();
        while let Some((len, tail)) = rest.split_first_chunk::<4>() {
            let len = u32::from_be_bytes(*len) as usize;
            if len > tail.len() {
                return Err(BatchError::Decompress { codec: self, reason: "a block is cut off".to_owned() });
            }
            self.snappy_block(&tail[..len], &mut out)?;
            rest = &tail[len..];
        }
        Ok(out)
    }

    fn snappy_block(self, block: &[u8], out: &mut Vec<u8>) -> Result<(), BatchError> {
        let failed = |e: snap::Error| BatchError::Decompress { codec: self, reason: e.to_string() };
        let start = out.len();
        let len = snap::raw::decompress_len(block).map_err(failed)?;
        if start.saturating_add(len) > DECOMPRESSED_BYTES_MAX {
            return Err(BatchError::TooLarge);
        }
        out.resize(start + len, 0);
        snap::raw::Decoder::new().decompress(block, &mut out[start..]).map_err(failed)?;
        Ok(())
    }
}
