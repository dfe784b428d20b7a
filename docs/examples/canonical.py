"""Prints the canonical blocks of every network: what is reverted is taken back. BROKER REGISTRY [TOPIC] as arguments; ends at
the end of the topic."""
import sys
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

broker, registry, topic = (sys.argv[1:] + ["headwater.enriched.blocks"])[:3]
decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
consumer = Consumer({"bootstrap.servers": broker, "group.id": "unused", "isolation.level": "read_committed",
                     "auto.offset.reset": "error", "enable.auto.commit": False, "enable.partition.eof": True})
partitions = set(consumer.list_topics(topic).topics[topic].partitions)
consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
chain = {}  # (network, height) -> block; what stands in it is canonical
while partitions:
    if (message := consumer.poll(1)) is None:
        continue
    if error := message.error():
        if error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        partitions.discard(message.partition())  # a consumer that goes on leaves this out
        continue
    block = decode(message.value(), SerializationContext(topic, MessageField.VALUE))
    place = block["network"], block["height"]
    if block["op"] == "apply":
        chain[place] = block
    elif block["op"] == "revert":  # undoes the event `reverts_sequence`, newest block first
        undone = chain.pop(place)
        assert undone["sequence"] == block["reverts_sequence"]
for (network, height), block in sorted(chain.items()):
    print(network, height, block["block_hash"], block["tx_count"])
