// sync_pool LOOP THREADS ROUNDS: one of the loops by which Go times its sync.Pool, over that pool, as one line of JSON.
// main.cpp beside it is the same over an object_pool.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	ballastBytes = 8 << 20 // live all the time: the collector, and so the pool's cleanup, runs after about as much again
	sinkBytes    = 32 << 10
)

var news, misses, cleanups uint64

var ballast []byte

// Keeps the allocations of useExpensive from being left out: one for each thread, far enough apart.
var sinks [256]struct {
	bytes []byte
	_     [104]byte
}

// put values put one after the other, then get got.
func putAndGet(pool *sync.Pool, put, get int, rounds uint64) {
	var missed uint64
	for round := uint64(0); round < rounds; round++ {
		for i := 0; i < put; i++ {
			pool.Put(1)
		}
		for i := 0; i < get; i++ {
			if pool.Get() == nil {
				missed++
			}
		}
	}
	atomic.AddUint64(&misses, missed)
}

// 100 values in use at a time, with some allocation for each.
func useExpensive(pool *sync.Pool, thread int, rounds uint64) {
	items := make([]any, 100)
	for round := uint64(0); round < rounds; round++ {
		for i := range items {
			items[i] = pool.Get()
			sinks[thread].bytes = make([]byte, sinkBytes)
		}
		for _, each := range items {
			pool.Put(each)
		}
	}
}

// The time from when all threads have warmed up to the last one's end.
func timed(threads int, warmUp, work func(thread int)) time.Duration {
	var ready, done sync.WaitGroup
	gate := make(chan struct{})
	ready.Add(threads)
	done.Add(threads)
	for i := 0; i < threads; i++ {
		go func(thread int) {
			warmUp(thread)
			ready.Done()
			<-gate
			work(thread)
			done.Done()
		}(i)
	}
	ready.Wait()
	news, misses = 0, 0
	before := collections()
	begin := time.Now()
	close(gate)
	done.Wait()
	took := time.Since(begin)
	cleanups = collections() - before
	return took
}

func collections() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return uint64(stats.NumGC)
}

func runPlain(put, get, threads int, each uint64) time.Duration {
	var pool sync.Pool
	return timed(threads,
		func(int) { putAndGet(&pool, put, get, each/10) },
		func(int) { putAndGet(&pool, put, get, each) })
}

func runExpensive(threads int, each uint64) time.Duration {
	debug.SetGCPercent(100)
	ballast = make([]byte, ballastBytes)
	runtime.GC()
	pool := sync.Pool{New: func() any {
		atomic.AddUint64(&news, 1)
		time.Sleep(time.Millisecond)
		return 42
	}}
	took := timed(threads, func(int) {}, func(thread int) { useExpensive(&pool, thread, each) })
	runtime.KeepAlive(ballast)
	return took
}

func main() {
	usage := func() {
		fmt.Fprintln(os.Stderr, "usage: sync_pool pool|overflow|starvation|expensive-new THREADS ROUNDS")
		os.Exit(1)
	}
	if len(os.Args) != 4 {
		usage()
	}
	loop := os.Args[1]
	threads, _ := strconv.Atoi(os.Args[2])
	rounds, _ := strconv.ParseUint(os.Args[3], 10, 64)
	if threads < 1 || threads > len(sinks) || rounds < uint64(threads) {
		usage()
	}
	runtime.GOMAXPROCS(threads)
	each := rounds / uint64(threads)
	var took time.Duration
	switch loop {
	case "pool":
		took = runPlain(1, 1, threads, each)
	case "overflow":
		took = runPlain(100, 100, threads, each)
	case "starvation":
		took = runPlain(90, 100, threads, each)
	case "expensive-new":
		took = runExpensive(threads, each)
	default:
		usage()
	}
	ns := float64(took.Nanoseconds()) / float64(each*uint64(threads))
	fmt.Printf("{\"name\": %q, \"threads\": %d, \"ns\": %.3f, \"news\": %d, \"misses\": %d, \"cleanups\": %d}\n",
		loop, threads, ns, news, misses, cleanups)
}
