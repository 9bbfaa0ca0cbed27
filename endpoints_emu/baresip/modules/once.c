/*
 * once: a SIP MESSAGE (RFC 3428) that came already is answered with 200 again, and shown to nobody a second time.
 *
 * A message comes twice where its first 200 was lost with the connection: whoever sent it, or keeps it for us, cannot know
 * that we have it. It is the same one when it has the same Call-ID and the same text.
 *
 * Has to be loaded before the modules that listen for messages (menu, ctrl_tcp): whoever listens first is asked first.
 */
#include <string.h>

#include "command.h"
#include "sip.h"

enum { REMEMBERED = 1024 };

static struct sip_lsnr *listener;
static uint64_t seen[REMEMBERED];
static size_t next;


/* FNV-1a, 64 bit */
static uint64_t hashed(uint64_t hash, const void *data, size_t length)
{
	const uint8_t *bytes = data;

	while (length--)
		hash = (hash ^ *bytes++) * 0x100000001b3u;

	return hash;
}


static bool is(const struct pl *text, const char *word)
{
	return text->l == strlen(word) && memcmp(text->p, word, text->l) == 0;
}


static bool on_request(const struct sip_msg *msg, void *arg)
{
	uint64_t hash;
	(void)arg;

	/* what is not text is refused, and may come again */
	if (!is(&msg->met, "MESSAGE") || !is(&msg->ctyp.type, "text"))
		return false;

	hash = hashed(0xcbf29ce484222325u, msg->callid.p, msg->callid.l);
	hash = hashed(hash, "", 1);
	if (msg->mb && msg->mb->end > msg->mb->pos)
		hash = hashed(hash, msg->mb->buf + msg->mb->pos, msg->mb->end - msg->mb->pos);

	for (size_t i = 0; i < REMEMBERED; i++) {
		if (seen[i] == hash) {
			(void)sip_reply(uag_sip(), msg, 200, "OK");
			return true;
		}
	}
	seen[next] = hash;
	next = (next + 1) % REMEMBERED;

	return false;
}


static int module_init(void)
{
	return sip_listen(&listener, uag_sip(), true, on_request, NULL);
}


static int module_close(void)
{
	listener = mem_deref(listener);

	return 0;
}


const struct mod_export exports = {"once", "application", module_init, module_close};
