// Prints the canonical transactions of every network: what is reverted is taken back. BROKER REGISTRY [TOPIC] as arguments;
// ends when nothing came for five seconds. franz-go's client and registry client, hamba/avro.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// Transaction has the fields that are wanted; the others are skipped.
type Transaction struct {
	Network string  `avro:"network"`
	Op      string  `avro:"op"`
	Height  int64   `avro:"height"`
	Index   *int64  `avro:"transaction_index"`
	Hash    *string `avro:"hash"`
	Status  *string `avro:"status"`
	Value   *string `avro:"value"`
}

type place struct {
	network string
	height  int64
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	topic := "headwater.enriched.transactions"
	if len(os.Args) > 3 {
		topic = os.Args[3]
	}
	registry := must(sr.NewClient(sr.URLs(os.Args[2])))
	client := must(kgo.NewClient(kgo.SeedBrokers(os.Args[1]), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted())))
	defer client.Close()
	schemas, header, chain := map[int]avro.Schema{}, sr.ConfluentHeader{}, map[place]map[int64]Transaction{}
	wait := 30 * time.Second // for the first record
	for {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		fetches := client.PollFetches(ctx)
		cancel()
		if fetches.Empty() {
			break
		}
		wait = 5 * time.Second
		fetches.EachRecord(func(record *kgo.Record) {
			id, body, err := header.DecodeID(record.Value)
			must(id, err)
			if schemas[id] == nil {
				schemas[id] = must(avro.Parse(must(registry.SchemaByID(context.Background(), id)).Schema))
			}
			var tx Transaction
			must(0, avro.Unmarshal(schemas[id], body, &tx))
			at := place{tx.Network, tx.Height}
			switch {
			case tx.Op == "revert": // one record for the block, without payload
				delete(chain, at)
			case tx.Op == "apply" && tx.Hash != nil: // without a hash: unreadable, see dead.letters
				if chain[at] == nil {
					chain[at] = map[int64]Transaction{}
				}
				chain[at][*tx.Index] = tx
			}
		})
	}
	for _, block := range chain {
		for _, tx := range block {
			fmt.Printf("%s\t%d\t%d\t%s\t%s\t%s\n", tx.Network, tx.Height, *tx.Index, *tx.Hash, *tx.Status, *tx.Value)
		}
	}
}
