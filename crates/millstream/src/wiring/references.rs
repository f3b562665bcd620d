//! Box 6: where each reference table's rows come from.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use millstream_adapters::lake::{LakeFormat, LakeLocation, LakeReferenceSource};
use millstream_adapters::mysql::{self, MysqlReferenceSource};
use millstream_adapters::postgresql::{PostgresPool, PostgresReferenceSource};
use millstream_adapters::relational::ReferenceTable;
use millstream_core::ports::ReferenceSource;
use millstream_core::{Error, Result};
use millstream_pipeline::graph::{
    Binding, DatabaseSystem, Pipeline, Reference, ReferenceDatabase, ReferenceFiles, ReferenceFormat, ReferenceOrigin,
};

use super::boxes::{names, probe_with};
use super::health::Engines;
use super::places::without_options;
use super::watched::Watched;
use crate::config::Config;

/// One source for each reference table.
pub(super) fn all(config: &Config, pipeline: &Pipeline, engines: &Arc<Engines>) -> Result<BTreeMap<String, Arc<dyn ReferenceSource>>> {
    let mut sources = BTreeMap::<String, Arc<dyn ReferenceSource>>::new();
    for (name, table) in &pipeline.tables {
        if let Binding::Reference(reference) = &table.binding {
            let columns = Some(table.spec.schema.clone());
            let source = reference_source(config, reference, columns, engines);
            sources.insert(name.clone(), source.map_err(|e| e.context(format!("reference table {name}")))?);
        }
    }
    Ok(sources)
}

/// Where the rows of a reference table come from; `columns` are those that they must have. Connects to nothing yet.
pub fn reference_source(
    config: &Config,
    reference: &Reference,
    columns: Option<SchemaRef>,
    engines: &Arc<Engines>,
) -> Result<Arc<dyn ReferenceSource>> {
    match &reference.origin {
        ReferenceOrigin::Files(files) => of_files(config, files, columns, engines),
        ReferenceOrigin::Database(database) => of_database(config, database, columns, engines),
    }
}

fn of_files(
    config: &Config,
    files: &ReferenceFiles,
    columns: Option<SchemaRef>,
    engines: &Arc<Engines>,
) -> Result<Arc<dyn ReferenceSource>> {
    let format = match files.format {
        ReferenceFormat::Parquet => LakeFormat::Parquet,
        ReferenceFormat::Csv => LakeFormat::Csv,
        ReferenceFormat::Json => LakeFormat::Json,
    };
    if !files.location.contains("://") {
        let failed = |e: std::io::Error| Error::from(e).context(format!("the location {}", files.location));
        let path = std::path::absolute(Path::new(&files.location)).map_err(failed)?;
        return Ok(Arc::new(LakeReferenceSource::new(format, path, columns)));
    }
    let location = LakeLocation::parse(&files.location)?;
    let settings = Arc::new(config.lake.clone().unwrap_or_default());
    let source: Arc<dyn ReferenceSource> = Arc::new(LakeReferenceSource::at(format, &location, settings, columns));
    let store = files.location.split('/').take(3).collect::<Vec<_>>().join("/");
    // Each store of the lake is one place; it is heard of at every look for changes.
    let health = engines.add(names::REFERENCE_DATA, "lake", store, None);
    Ok(Watched::<dyn ReferenceSource>::new(source, health))
}

fn of_database(
    config: &Config,
    database: &ReferenceDatabase,
    columns: Option<SchemaRef>,
    engines: &Arc<Engines>,
) -> Result<Arc<dyn ReferenceSource>> {
    let table = ReferenceTable { dbtable: database.table.clone(), filter: database.filter.clone(), columns };
    let absent = |section: &str| {
        Error::invalid(format!("table {} is read from {section}, and there is no [{section}]: say where the database is", database.table))
    };
    let (system, place, probe, source): (_, _, _, Arc<dyn ReferenceSource>) = match database.system {
        DatabaseSystem::Postgresql => {
            let settings = config.postgresql.clone().ok_or_else(|| absent("postgresql"))?;
            let source = PostgresReferenceSource::new(PostgresPool::new(settings.clone())?, table);
            let place = without_options(&settings.url).to_owned();
            // No probe: that asks whether reports may be written. It is heard of at every look for changes.
            ("postgresql", place, None, Arc::new(source))
        }
        DatabaseSystem::Mysql => {
            let settings = config.mysql.clone().ok_or_else(|| absent("mysql"))?;
            let source = MysqlReferenceSource::new(settings.clone(), table)?;
            let place = without_options(&settings.url).to_owned();
            ("mysql", place, Some(probe_with(settings, |s| async move { mysql::probe(&s).await })), Arc::new(source))
        }
    };
    let health = engines.add(names::REFERENCE_DATA, system, place, probe);
    Ok(Watched::<dyn ReferenceSource>::new(source, health))
}
