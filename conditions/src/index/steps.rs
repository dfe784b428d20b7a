//! What each tenant's conditions cost while a block is looked through, and who is not looked at any more.
//!
//! Guarantee: what is left out of a tenant's follows from its own monitors and from the transactions alone. It pays for each condition as if
//! nobody else had the same, though what is shared is evaluated once. The transaction at which its steps are used up is left out for it
//! whole, and so is every later one of the block.

use schemas::limits::conditions::MATCH_STEPS;

/// A tenant that has a test at a place, and one of its monitors that do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Payer {
    pub tenant: u32,
    pub slot: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// What each tenant may take; `None`: as many as there are.
    most: Option<u64>,
    /// Counts the transactions of the block.
    transaction: u64,
    /// By the tenant's number.
    tenants: Vec<Taken>,
    /// Steps by monitor.
    slots: Vec<u64>,
}

/// What a tenant's conditions took.
#[derive(Debug, Clone, Default)]
struct Taken {
    steps: u64,
    is_out: bool,
    /// Transactions that were left out, and the last of them.
    left_out: u64,
    last: u64,
    /// Of its monitors the one that took most, and how much.
    costliest: (u64, u32),
}

impl Taken {
    fn leave_out(&mut self, transaction: u64) {
        if self.last != transaction {
            self.last = transaction;
            self.left_out += 1;
        }
    }
}

impl Steps {
    /// Another block, for which each tenant may take so many.
    pub fn begin_block(&mut self, most: u64) {
        (self.most, self.transaction) = (Some(most), 0);
        self.tenants.clear();
        self.slots.clear();
    }

    /// Another transaction of it.
    pub fn begin_transaction(&mut self) {
        self.transaction += 1;
    }

    /// Whether a tenant's are used up.
    pub fn is_out(&self, tenant: u32) -> bool {
        self.tenants.get(tenant as usize).is_some_and(|taken| taken.is_out)
    }

    /// Whether anybody of these still looks; the others miss the transaction.
    pub fn any_looks(&mut self, payers: &[Payer]) -> bool {
        if self.most.is_none() {
            return true;
        }
        let transaction = self.transaction;
        let mut any = false;
        for payer in payers {
            match self.tenants.get_mut(payer.tenant as usize).filter(|taken| taken.is_out) {
                Some(taken) => taken.leave_out(transaction),
                None => any = true,
            }
        }
        any
    }

    /// Each of these pays.
    pub fn pay(&mut self, payers: &[Payer], cost: u64) {
        payers.iter().for_each(|payer| self.pay_one(*payer, cost));
    }

    /// Pays for something that fits.
    pub fn pay_match(&mut self, payer: Payer) {
        self.pay_one(payer, MATCH_STEPS);
    }

    /// One pays.
    pub fn pay_one(&mut self, payer: Payer, cost: u64) {
        let (Some(most), transaction) = (self.most, self.transaction) else { return };
        let (tenant, slot) = (payer.tenant as usize, payer.slot as usize);
        if self.tenants.len() <= tenant {
            self.tenants.resize(tenant + 1, Taken::default());
        }
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, 0);
        }
        let (Some(taken), Some(of_monitor)) = (self.tenants.get_mut(tenant), self.slots.get_mut(slot)) else { return };
        if taken.is_out {
            return;
        }
        taken.steps = taken.steps.saturating_add(cost);
        *of_monitor = of_monitor.saturating_add(cost);
        if *of_monitor > taken.costliest.0 {
            taken.costliest = (*of_monitor, payer.slot);
        }
        if taken.steps > most {
            taken.is_out = true;
            taken.leave_out(transaction);
        }
    }

    /// Of each tenant whose steps are used up the monitor that took most, and how many transactions it misses.
    pub fn used_up(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.tenants.iter().filter(|taken| taken.is_out).map(|taken| (taken.costliest.1, taken.left_out))
    }
}
