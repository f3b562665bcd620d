//! [`Folder`]: where a table's files lie, and the chain of manifests.
//!
//! ```text
//! _millstream/table.json                          what the table is; put where there is none
//! _millstream/ID/00000000000000000042.json        manifest 42; put where there is none
//! _staging/ID/FLOW/ATTEMPT-EPOCH-CRC.parquet      the rows of one epoch
//! data/part-0000000007-ID.parquet                 data file 7
//! ```
//!
//! `ID` is new whenever a table is made, so that what an old writer still does to a table that was dropped is not seen in the next of its name.
//! Names that begin with `_` are hidden from Spark.

use bytes::Bytes;
use millstream_core::{Error, FlowId, Result, TableSpec, Timestamp};
use object_store::path::{Path as ObjectPath, PathPart};
use serde::{Deserialize, Serialize};

use super::Latest;
use super::manifest::{Manifest, Staged};
use crate::lake::client::LakeClient;

/// The version of `table.json` that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// How often a manifest is looked for anew when it was removed under the look: many more come only if the clean-up outruns the reader.
const LOOKS_MOST: usize = 8;

/// A table's folder.
pub(super) struct Folder {
    client: LakeClient,
    id: String,
}

/// What `table.json` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    format: u32,
    table: String,
    id: String,
    /// The table's [`fingerprint`](TableSpec::fingerprint).
    shape: String,
}

impl About {
    pub fn new(spec: &TableSpec, id: String) -> Self {
        Self { format: FORMAT, table: spec.name.clone(), id, shape: spec.fingerprint() }
    }

    pub fn to_bytes(&self) -> Result<Bytes> {
        let text =
            serde_json::to_vec_pretty(self).map_err(|e| Error::internal("a lake table's description can't be written").caused_by(e))?;
        Ok(text.into())
    }

    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        let about: Self = serde_json::from_slice(bytes)
            .map_err(|e| Error::corrupt(format!("{name} is no description of a lake table that this version can read")).caused_by(e))?;
        if about.format != FORMAT {
            let format = about.format;
            return Err(Error::unsupported(format!("{name} has format {format}, this version knows {FORMAT}: use a newer one")));
        }
        Ok(about)
    }

    fn check(&self, spec: &TableSpec, place: &str) -> Result<()> {
        if self.table != spec.name {
            return Err(Error::already_exists(format!(
                "{place} holds lake table {}, not {}: two tables can't share a location",
                self.table, spec.name
            )));
        }
        let shape = spec.fingerprint();
        if self.shape != shape {
            return Err(Error::already_exists(format!("lake table {} exists at {place} as {}, not as {shape}", spec.name, self.shape)));
        }
        Ok(())
    }
}

fn about_path(client: &LakeClient) -> ObjectPath {
    client.location().path.clone().join("_millstream").join("table.json")
}

fn data_path(client: &LakeClient) -> ObjectPath {
    client.location().path.clone().join("data")
}

fn staging_path(client: &LakeClient) -> ObjectPath {
    client.location().path.clone().join("_staging")
}

impl Folder {
    /// The folder of the table of `spec`, made where there is none. [`AlreadyExists`](millstream_core::ErrorKind::AlreadyExists) where it holds
    /// another table, or data files of somebody else.
    pub async fn ensure(client: LakeClient, spec: &TableSpec, now: Timestamp) -> Result<Self> {
        let (path, place) = (about_path(&client), client.location().to_string());
        if client.head(&path).await?.is_none() {
            let data = data_path(&client);
            if let (objects, _) = client.list_folder(&data).await?
                && let Some(object) = objects.first()
            {
                return Err(Error::already_exists(format!(
                    "{} is there, and {place} holds no table that Millstream made: name another location, or move the files away",
                    client.name(&object.location)
                )));
            }
            let about = About::new(spec, format!("{:016x}", now.0));
            client.create(&path, about.to_bytes()?).await?;
        }
        let name = client.name(&path);
        let bytes = client.get(&path).await?.ok_or_else(|| Error::unavailable(format!("{name} was removed while it was read")))?;
        let about = About::from_bytes(&bytes, &name)?;
        about.check(spec, &place)?;
        Ok(Self { client, id: about.id })
    }

    /// Removes the table at `client`'s location, if there is one; what tells that there is one comes last, so that a removal that was
    /// interrupted can be done again.
    pub async fn remove(client: LakeClient) -> Result<()> {
        let about = about_path(&client);
        if client.head(&about).await?.is_none() {
            return Ok(());
        }
        let is_part = |path: &ObjectPath| path.filename().is_some_and(|name| name.starts_with("part-"));
        let data = client.list(&data_path(&client), None).await?.into_iter().map(|o| o.location).filter(is_part);
        client.delete(data.collect()).await?;
        let staged = client.list(&staging_path(&client), None).await?;
        client.delete(staged.into_iter().map(|o| o.location).collect()).await?;
        let manifests = client.list(&client.location().path.clone().join("_millstream"), None).await?;
        client.delete(manifests.into_iter().map(|o| o.location).filter(|path| *path != about).collect()).await?;
        client.delete(vec![about]).await?;
        Ok(())
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    fn manifests(&self) -> ObjectPath {
        self.client.location().path.clone().join("_millstream").join(self.id.as_str())
    }

    fn manifest_path(&self, number: u64) -> ObjectPath {
        self.manifests().join(format!("{number:020}.json"))
    }

    /// The numbers of the manifests after `after`, rising.
    pub async fn manifest_numbers(&self, after: u64) -> Result<Vec<u64>> {
        let offset = (after > 0).then(|| self.manifest_path(after));
        let objects = self.client.list(&self.manifests(), offset.as_ref()).await?;
        let number = |path: &ObjectPath| path.filename()?.strip_suffix(".json")?.parse::<u64>().ok();
        // Azure's list begins with the offset, the others' after it.
        let mut numbers: Vec<u64> = objects.iter().filter_map(|o| number(&o.location)).filter(|n| *n > after).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub async fn delete_manifests(&self, numbers: &[u64]) -> Result<()> {
        Ok(self.client.delete(numbers.iter().map(|n| self.manifest_path(*n)).collect()).await?)
    }

    /// The latest manifest; `known` if there is none after it.
    pub async fn latest(&self, known: Latest) -> Result<Latest> {
        for _ in 0..LOOKS_MOST {
            let Some(number) = self.manifest_numbers(known.number).await?.pop() else { return Ok(known) };
            let path = self.manifest_path(number);
            // It was the latest a moment ago; that it is gone means that many more came.
            if let Some(bytes) = self.client.get(&path).await? {
                let manifest = Manifest::from_bytes(&bytes, &self.client.name(&path))?;
                return Ok(Latest { number, manifest: manifest.into() });
            }
        }
        Err(Error::unavailable(format!("the manifests at {} change faster than they can be read", self.client.name(&self.manifests()))))
    }

    /// Puts `next`, made from `latest`, as the manifest after it. Whether it now counts; either way `latest` is what does.
    ///
    /// That its number was free is not enough: a writer that was paused for long enough finds the number after its own free again, because
    /// old manifests are removed. So it looks for greater ones afterwards; the latest of all is never removed, so a chain that went on without
    /// this writer always shows.
    pub async fn append(&self, latest: &mut Latest, next: Manifest) -> Result<bool> {
        let number = latest.number + 1;
        let path = self.manifest_path(number);
        let bytes = Bytes::from(next.to_bytes()?);
        let mut put = self.client.create(&path, bytes.clone()).await?;
        if !put {
            // An answer that was lost on the way, and the request sent again: what is there is ours.
            put = self.client.get(&path).await?.is_some_and(|there| there == bytes);
        }
        if put && self.manifest_numbers(number).await?.is_empty() {
            *latest = Latest { number, manifest: next.into() };
            return Ok(true);
        }
        *latest = self.latest(latest.clone()).await?;
        Ok(false)
    }

    fn staged_path(&self, staged: &Staged) -> ObjectPath {
        let Staged { attempt, epoch, crc32c, .. } = staged;
        let folder = staging_path(&self.client).join(self.id.as_str()).join(staged.flow.as_str());
        folder.join(format!("{:020}-{:020}-{crc32c:08x}.parquet", attempt.0, epoch.0))
    }

    pub async fn write_staged(&self, staged: &Staged, bytes: Bytes) -> Result<()> {
        Ok(self.client.put(&self.staged_path(staged), bytes).await?)
    }

    /// A staged file's name and contents. [`Unavailable`](millstream_core::ErrorKind::Unavailable) when it was rolled and removed since its
    /// manifest was read.
    pub async fn read_staged(&self, staged: &Staged) -> Result<(String, Bytes)> {
        let path = self.staged_path(staged);
        let name = self.client.name(&path);
        let Some(meta) = self.client.head(&path).await? else {
            return Err(Error::unavailable(format!("{name} was rolled into a data file since the scan began: scan again")));
        };
        let bytes = self.client.get_range(&meta, 0..meta.size).await?;
        if bytes.len() as u64 != staged.bytes || crc32c::crc32c(&bytes) != staged.crc32c {
            return Err(Error::corrupt(format!("{name} is not what was committed: restore it, nothing was changed")));
        }
        Ok((name, bytes))
    }

    /// All staged files: path, flow (where the manifest's `flows` has it), attempt, epoch, checksum.
    pub async fn staged_files<'a>(&self, flows: impl Iterator<Item = &'a FlowId>) -> Result<Vec<StagedFile>> {
        let flows: Vec<(String, FlowId)> = flows.map(|f| (PathPart::from(f.as_str()).as_ref().to_owned(), f.clone())).collect();
        let objects = self.client.list(&staging_path(&self.client).join(self.id.as_str()), None).await?;
        let parse = |path: ObjectPath| {
            let mut parts = path.as_ref().rsplit('/');
            let (file, folder) = (parts.next()?.strip_suffix(".parquet")?, parts.next()?);
            let (_, flow) = flows.iter().find(|(name, _)| name == folder)?;
            let mut numbers = file.splitn(3, '-');
            let (attempt, epoch) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
            let crc32c = u32::from_str_radix(numbers.next()?, 16).ok()?;
            Some(StagedFile { flow: flow.clone(), attempt, epoch, crc32c, path })
        };
        Ok(objects.into_iter().filter_map(|o| parse(o.location)).collect())
    }

    pub async fn delete(&self, paths: Vec<ObjectPath>) -> Result<()> {
        Ok(self.client.delete(paths).await?)
    }

    fn data_file(&self, number: u64) -> String {
        format!("part-{number:010}-{}.parquet", self.id)
    }

    /// Puts a data file where every reader sees it: whole, whenever it looks.
    pub async fn write_data(&self, number: u64, bytes: Bytes) -> Result<()> {
        let (name, path) = (self.data_file(number), data_path(&self.client));
        let path = path.join(name.as_str());
        if self.client.location().local_path().is_none() {
            return Ok(self.client.put(&path, bytes).await?);
        }
        // A file system shows a file while it is written.
        let beside = staging_path(&self.client).join(self.id.as_str()).join(name);
        self.client.put(&beside, bytes).await?;
        Ok(self.client.rename(&beside, &path).await?)
    }

    /// A data file's name and contents.
    pub async fn read_data(&self, number: u64) -> Result<(String, Bytes)> {
        let path = data_path(&self.client).join(self.data_file(number));
        let name = self.client.name(&path);
        let Some(meta) = self.client.head(&path).await? else {
            return Err(Error::corrupt(format!("{name} is committed and not there: restore it")));
        };
        Ok((name, self.client.get_range(&meta, 0..meta.size).await?))
    }
}

/// A staged file that was listed.
pub(super) struct StagedFile {
    pub path: ObjectPath,
    pub flow: FlowId,
    pub attempt: u64,
    pub epoch: u64,
    pub crc32c: u32,
}

#[cfg(test)]
mod tests;
