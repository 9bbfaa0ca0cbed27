/*
 * recorder: an audio player for baresip 1.1.0 that plays to nobody, and into a WAV file while it is told to.
 *
 *   audio_player    recorder,ear
 *   /record <call id> <file>        what this call receives goes to the file from now on
 *
 * The players that baresip brings do not fit: `aufile` starts its thread before it says that it runs, and crashes where
 * a player is stopped at once, as a re-INVITE for hold does; and the command that switches players switches those of all
 * calls. A recording ends with its player: at the end of the call, and at a hold. It runs in real time: what did
 * not arrive is silence.
 *
 * Declarations are those of baresip.h 1.1.0 and re 2.0.1 as far as they are used here.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "command.h"

struct list;
struct audio;
struct call;
struct auplay;

struct auframe {
	int fmt;
	void *sampv;
	size_t sampc;
	uint64_t timestamp;
};

struct auplay_prm {
	uint32_t srate;
	uint8_t ch;
	uint32_t ptime;         /* milliseconds */
	int fmt;
};

struct auplay_st;
typedef void (auplay_write_h)(struct auframe *af, void *arg);
typedef int (auplay_alloc_h)(struct auplay_st **stp, const struct auplay *ap, struct auplay_prm *prm,
			     const char *device, auplay_write_h *wh, void *arg);

void *mem_zalloc(size_t size, void (*destructor)(void *data));
void *mem_deref(void *data);
uint64_t tmr_jiffies(void);
struct list *baresip_auplayl(void);
int auplay_register(struct auplay **pp, struct list *auplayl, const char *name, auplay_alloc_h *alloch);
struct call *uag_call_find(const char *id);
struct audio *call_audio(const struct call *call);

enum { S16LE = 0, SAMPLE = 2, WAV_HEADER = 44 };

struct auplay_st {
	struct auplay_st *next;         /* only the main thread walks the list */
	struct auplay_prm prm;
	pthread_t thread;
	atomic_bool run;
	pthread_mutex_t lock;           /* guards `file` and `written` */
	FILE *file;
	uint32_t written;
	int16_t *sampv;
	size_t sampc;
	auplay_write_h *wh;
	void *arg;                      /* the call's struct audio */
};

static struct auplay *auplay;
static struct auplay_st *players;


static void put(uint8_t *at, uint32_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}


/* RIFF, format and head of the data chunk; the lengths are right once the file is complete */
static void write_header(const struct auplay_st *st)
{
	uint8_t head[WAV_HEADER] = "RIFF....WAVEfmt ";
	const uint32_t frame = SAMPLE * st->prm.ch;

	put(head + 4, WAV_HEADER - 8 + st->written, 4);
	put(head + 16, 16, 4);
	put(head + 20, 1, 2);
	put(head + 22, st->prm.ch, 2);
	put(head + 24, st->prm.srate, 4);
	put(head + 28, st->prm.srate * frame, 4);
	put(head + 32, frame, 2);
	put(head + 34, 8 * SAMPLE, 2);
	memcpy(head + 36, "data", 4);
	put(head + 40, st->written, 4);

	rewind(st->file);
	fwrite(head, 1, sizeof(head), st->file);
}


/* With the lock held, or without a thread */
static void finish(struct auplay_st *st)
{
	if (!st->file)
		return;

	write_header(st);
	fclose(st->file);
	st->file = NULL;
}


static void *play_thread(void *arg)
{
	struct auplay_st *st = arg;
	const size_t bytes = st->sampc * SAMPLE;
	uint64_t due = tmr_jiffies();

	while (st->run) {
		struct auframe af = {S16LE, st->sampv, st->sampc, due * 1000};
		int64_t wait;

		st->wh(&af, st->arg);

		pthread_mutex_lock(&st->lock);
		if (st->file)
			st->written += (uint32_t)fwrite(st->sampv, 1, bytes, st->file);
		pthread_mutex_unlock(&st->lock);

		due += st->prm.ptime;
		wait = (int64_t)(due - tmr_jiffies());
		if (wait > 0) {
			struct timespec pause = {wait / 1000, (wait % 1000) * 1000000};
			nanosleep(&pause, NULL);
		}
	}

	return NULL;
}


static void destructor(void *data)
{
	struct auplay_st *st = data;

	for (struct auplay_st **at = &players; *at; at = &(*at)->next) {
		if (*at == st) {
			*at = st->next;
			break;
		}
	}

	if (st->run) {
		st->run = false;
		pthread_join(st->thread, NULL);
	}

	finish(st);
	mem_deref(st->sampv);
	pthread_mutex_destroy(&st->lock);
}


static int play_alloc(struct auplay_st **stp, const struct auplay *ap, struct auplay_prm *prm,
		      const char *device, auplay_write_h *wh, void *arg)
{
	struct auplay_st *st;
	(void)ap;
	(void)device;

	if (!stp || !prm || !wh || !prm->ptime || prm->fmt != S16LE)
		return EINVAL;

	st = mem_zalloc(sizeof(*st), destructor);
	if (!st)
		return ENOMEM;

	pthread_mutex_init(&st->lock, NULL);
	st->prm = *prm;
	st->wh = wh;
	st->arg = arg;
	st->sampc = prm->srate * prm->ch * prm->ptime / 1000;
	st->sampv = mem_zalloc(st->sampc * SAMPLE, NULL);
	st->run = st->sampv != NULL;            /* before the thread: it may be stopped at once */
	if (!st->run || pthread_create(&st->thread, NULL, play_thread, st)) {
		st->run = false;
		mem_deref(st);
		return ENOMEM;
	}

	st->next = players;
	players = st;
	*stp = st;

	return 0;
}


static int cmd_record(struct re_printf *pf, void *arg)
{
	const struct cmd_arg *carg = arg;
	char *file = carg->prm ? strchr(carg->prm, ' ') : NULL;
	struct call *call = NULL;
	struct auplay_st *st;

	if (file) {
		*file++ = '\0';
		call = uag_call_find(carg->prm);
	}
	if (!call) {
		re_hprintf(pf, "record: no such call\n");
		return ENOENT;
	}

	for (st = players; st; st = st->next) {
		if (st->arg == call_audio(call))
			break;
	}
	if (!st) {
		re_hprintf(pf, "record: the call has no audio\n");
		return ENOENT;
	}

	pthread_mutex_lock(&st->lock);
	finish(st);
	st->written = 0;
	st->file = fopen(file, "wb");
	if (st->file)
		write_header(st);
	pthread_mutex_unlock(&st->lock);

	if (!st->file) {
		re_hprintf(pf, "record: cannot write %s\n", file);
		return EIO;
	}

	return 0;
}


static const struct cmd cmdv[] = {
	{"record", 0, CMD_PRM, "Record a call <call id> <file>", cmd_record},
};


static int module_init(void)
{
	int err = auplay_register(&auplay, baresip_auplayl(), "recorder", play_alloc);

	return err ? err : cmd_register(baresip_commands(), cmdv, 1);
}


static int module_close(void)
{
	cmd_unregister(baresip_commands(), cmdv);
	auplay = mem_deref(auplay);

	return 0;
}


const struct mod_export exports = {"recorder", "auplay", module_init, module_close};
