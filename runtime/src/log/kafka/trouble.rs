//! What operators do to topics while stages run. For tests only: this crate's and other stages'.

use rdkafka::{
    admin::{AdminOptions, AlterConfig, ResourceSpecifier},
    error::KafkaError,
};

use super::{CALL, KafkaLog, config::partition_list, error};
use crate::log::{LogError, Topic, TopicPartition};

impl KafkaLog {
    /// Deletes a topic.
    pub async fn delete_topic(&self, topic: Topic) -> Result<(), LogError> {
        let name = self.0.config.on_wire(topic);
        let deleted = self.0.admin.delete_topics(&[&name], &AdminOptions::new().operation_timeout(Some(CALL))).await;
        for result in deleted.map_err(|e| error::log_error("delete a topic", &e))? {
            result.map_err(|(name, code)| error::log_error(&format!("delete {name}"), &KafkaError::AdminOp(code)))?;
        }
        Ok(())
    }

    /// Removes the records before an offset, as retention does.
    pub async fn delete_records(&self, at: TopicPartition, before: u64) -> Result<(), LogError> {
        let list = partition_list(&self.0.config, &[(at, before)])?;
        let deleted = self.0.admin.delete_records(&list, &AdminOptions::new()).await;
        deleted.map(drop).map_err(|e| error::log_error("delete records", &e))
    }

    /// Sets one property of a topic, and clears all others that were set on it.
    pub async fn set_property(&self, topic: Topic, name: &str, value: &str) -> Result<(), LogError> {
        let topic = self.0.config.on_wire(topic);
        let alter = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set(name, value);
        for result in self
            .0
            .admin
            .alter_configs([&alter], &AdminOptions::new())
            .await
            .map_err(|e| error::log_error("change a topic", &e))?
        {
            result.map_err(|(_, code)| error::log_error("change a topic", &KafkaError::AdminOp(code)))?;
        }
        Ok(())
    }
}
