//! What MySQL and MariaDB have to be asked, where others say it by themselves.

use std::sync::Arc;

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::Relation;
use crate::store::run::{MAX_TEXT, select};
use crate::store::{Bind, Statement, StoreFault};

use super::{Halt, Transaction, settle};

impl Transaction<'_> {
    /// MySQL keeps tables of engines that cannot roll back (MyISAM); such are not written.
    pub(super) async fn can_undo<E: From<StoreFault>>(
        &mut self,
        table: &Arc<Relation>,
    ) -> Result<(), Halt<E>> {
        let Relation::Table { schema, name } = &**table else {
            return Err(Halt::Work(StoreFault::CannotUndo.into()));
        };
        if !self.flavour.is_mysql() || self.undoable.contains(table) {
            return Ok(());
        }
        let of = if schema.is_some() { "?" } else { "DATABASE()" };
        let text = format!(
            "SELECT 'x' FROM information_schema.TABLES AS t JOIN information_schema.ENGINES AS e \
             ON e.ENGINE = t.ENGINE WHERE t.TABLE_SCHEMA = {of} AND t.TABLE_NAME = ? \
             AND e.TRANSACTIONS = 'YES'"
        );
        let binds = schema.iter().chain([name]).map(|text| Bind::Text(text.clone())).collect();
        let (flavour, shape) = (self.flavour, vec![SqlType::Text]);
        let statement = Statement { flavour, text, binds, shape };
        let rows = settle(select(&mut self.conn, &statement, MAX_TEXT).await)?.rows;
        if rows.is_empty() {
            return Err(Halt::Work(StoreFault::CannotUndo.into()));
        }
        self.undoable.push(Arc::clone(table));
        Ok(())
    }

    /// The value that MySQL gave the last row by itself, or the one that is to stand for it.
    pub(super) async fn last_given<E: From<StoreFault>>(
        &mut self,
        told: &str,
    ) -> Result<Option<String>, Halt<E>> {
        let text = format!("SELECT CAST(LAST_INSERT_ID({told}) AS CHAR CHARACTER SET utf8mb4)");
        let shape = vec![SqlType::Integer { bits: 64, unsigned: true }];
        let ask = Statement { flavour: self.flavour, text, binds: Vec::new(), shape };
        let rows = settle(select(&mut self.conn, &ask, MAX_TEXT).await)?.rows;
        Ok(rows.row(0).and_then(|row| row.get(0)).map(str::to_owned))
    }
}
