import Telnyx from 'telnyx';


const client = new Telnyx({
  apiKey: process.env['TELNYX_API_KEY'], // This is the default and can be omitted
});


const response = await client.conferences.actions.recordStart('id',
{ format: 'wav' });


console.log(response.data);
